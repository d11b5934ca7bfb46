"""Labels from a ground truth, where there is one: for the demo, and for measuring what labels are worth."""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from annotate.log.store import LABELS, LabelStore
from annotate.operations import Assign, Mark, NewIdentity, SetMark
from annotate.records import Tracklet, read_tracklets
from pipeline.boxes import iou
from pipeline.groundtruth.read import Truth, read_truth

_ON = 0.5  # IoU from which a detection shows a person


@dataclass
class TruthLabels:
    """Labels that come from a ground truth.

    Attributes:
        identities: the ground truth's person -> the number that it got.
        detections: of tracklets that show somebody, those on a person.
        right: those of them on the person of their tracklet's identity.

    """

    identities: dict[int, int] = field(default_factory=dict)
    detections: int = 0
    right: int = 0


def label_by_ground_truth(workspace: Path, truths: Mapping[str, Path]) -> TruthLabels:
    """Label all tracklets of `workspace` from the ground truth of their flights, in place of a person's hand.

    A tracklet gets the person that most of its detections show, and is junk where most show nobody. Labels that are
    there are kept.

    Args:
        workspace: with tracklets and crops.
        truths: flight -> file of its ground truth.

    """
    found = TruthLabels()
    with LabelStore(workspace / LABELS) as store:
        for flight, path in sorted(truths.items()):
            tracklets = read_tracklets(workspace, flight)
            store.add_flight(flight, tracklets)
            truth = read_truth(path)
            for tracklet in tracklets:
                seen = _shown(tracklet, truth)
                person = _person(seen, len(tracklet.detections))
                _label(store, f"{flight}/{tracklet.number}", person, found.identities)
                if person is not None:
                    found.detections += seen.total()
                    found.right += seen[person]
    return found


def _label(store: LabelStore, name: str, person: int | None, known: dict[int, int]) -> None:
    """Label a tracklet; its id makes a second call do nothing."""
    these, identifier = (name,), f"truth-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
    if person is None:
        store.apply(SetMark(tracklets=these, mark=Mark.JUNK), user="truth", id=identifier)
    elif person in known:
        store.apply(Assign(tracklets=these, identity=known[person]), user="truth", id=identifier)
    else:
        known[person] = int(store.apply(NewIdentity(tracklets=these), user="truth", id=identifier).created or 0)


def _shown(tracklet: Tracklet, truth: Mapping[int, Truth]) -> Counter[int]:
    """How many of its detections show each person."""
    seen: Counter[int] = Counter()
    for each in tracklet.detections:
        there = truth.get(each.frame)
        if there is not None and len(there.boxes):
            overlaps = iou(np.array([each.box]), there.boxes)[0]
            if overlaps.max() >= _ON:
                seen[int(there.identities[overlaps.argmax()])] += 1
    return seen


def _person(seen: Counter[int], detections: int) -> int | None:
    person, count = seen.most_common(1)[0] if seen else (0, 0)
    return person if 2 * count >= detections else None
