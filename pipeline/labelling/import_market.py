"""Import of a Market-1501 folder: it becomes flights of a workspace, with their labels."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from annotate.exchange.market import NamedCrop, read_market
from annotate.log.store import LABELS, LabelStore
from annotate.operations import Mark, NewIdentity, SetMark, tracklet_id
from annotate.records import CROPS, DETECTIONS, TRACKLETS, read_tracklets
from pipeline.errors import PipelineError
from pipeline.files import read_regular
from pipeline.stages import crops, detect
from pipeline.workspace.atomic import atomic_folder
from pipeline.workspace.tables import SegmentTable

_MARKS = {-1: Mark.JUNK, 0: Mark.DISTRACTOR}
_FINGERPRINT = "imported"  # of no stage, so that no stage takes the tables for its own


def import_market(root: Path, workspace: Path, fps: float, user: str) -> Counter[str]:
    """Make a flight of every camera and sequence in `root`, and label them by the pictures' names.

    A tracklet is the pictures of one identity in a sequence; of junk and distractors each picture is one. The
    position of a box in its frame is not known: those of one frame are put side by side, from the origin.

    Args:
        root: as `annotate.exchange.market.read_market` takes it.
        workspace: where the flights and labels go.
        fps: frame rate; the pictures' names count frames.
        user: the labeller in the log.

    Returns:
        The numbers of flights, tracklets, identities and crops.

    Raises:
        PipelineError: a flight of that name exists, or a picture cannot be read; names it.
        AnnotateError: as `read_market`.

    """
    flights: dict[str, list[NamedCrop]] = defaultdict(list)
    for crop in read_market(root):
        flights[crop.flight].append(crop)
    there = [name for name in flights if (workspace / name).exists()]
    if there:
        raise PipelineError(f"{workspace / there[0]}: already exists; choose another --workspace")
    owners: dict[int, list[str]] = defaultdict(list)
    with LabelStore(workspace / LABELS) as store:
        for name, found in flights.items():
            tracklets = _divide(found)
            _write_flight(workspace / name, tracklets, fps)
            store.add_flight(name, read_tracklets(workspace, name))
            for number, content in enumerate(tracklets):
                owners[content[0].identity].append(tracklet_id(name, number))
        with store.together(user=user, id="import-market") as decide:
            for identity, names in sorted(owners.items()):
                if identity in _MARKS:
                    decide(SetMark(tracklets=tuple(names), mark=_MARKS[identity]))
                else:
                    decide(NewIdentity(tracklets=tuple(names), name=str(identity)))
    sizes = {"tracklets": sum(map(len, owners.values())), "identities": len(owners.keys() - _MARKS.keys())}
    return Counter(flights=len(flights), crops=sum(map(len, flights.values())), **sizes)


def _divide(found: Sequence[NamedCrop]) -> list[list[NamedCrop]]:
    """The pictures by tracklet, each frame once."""
    tracklets: dict[tuple[Any, ...], list[NamedCrop]] = defaultdict(list)
    boxes: Counter[tuple[int, int]] = Counter()
    for crop in found:
        # Two boxes of one identity in one frame are two tracklets; nobody's picture is like any other.
        same = boxes[crop.identity, crop.frame]
        boxes[crop.identity, crop.frame] += 1
        tracklets[crop.identity, crop.path.name if crop.identity in _MARKS else same].append(crop)
    return [sorted(content, key=lambda crop: crop.frame) for content in tracklets.values()]


def _write_flight(folder: Path, tracklets: Sequence[Sequence[NamedCrop]], fps: float) -> None:
    ranks: Counter[int] = Counter()
    ends: Counter[int] = Counter()  # by frame: where the next box begins
    members: list[dict[str, int]] = []
    rows: list[dict[str, Any]] = []
    with atomic_folder(folder) as temporary:
        images = (temporary / CROPS).with_name("images")
        images.mkdir(parents=True)
        for number, content in enumerate(tracklets):
            for crop in content:
                place = {"frame": crop.frame, "rank": ranks[crop.frame]}
                ranks[crop.frame] += 1
                picture = _picture(crop.path)
                (images / crop.path.name).write_bytes(picture)
                members.append({"tracklet": number, **place})
                measured = _measure(crop.path, picture, ends[crop.frame])
                ends[crop.frame] = measured["right"]
                rows.append({**place, "pts_s": crop.frame / fps, "score": 1.0, "suspect": False, **measured})
        rows.sort(key=lambda row: (row["frame"], row["rank"]))
        for table, schema in ((CROPS, crops.SCHEMA), (DETECTIONS, detect.SCHEMA)):
            SegmentTable(temporary / table, schema, _FINGERPRINT).write(0, rows)
        (temporary / TRACKLETS).parent.mkdir()
        pd.DataFrame(members).to_parquet(temporary / TRACKLETS, index=False)


def _picture(path: Path) -> bytes:
    try:
        return read_regular(path)
    except OSError as error:
        raise PipelineError(f"{path}: cannot be read: {error.strerror}; remove it or get it again") from None


def _measure(path: Path, picture: bytes, left: int) -> dict[str, Any]:
    image = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR) if picture else None
    if image is None:
        raise PipelineError(f"{path}: not a readable picture; remove it or get it again")
    height, width = image.shape[:2]
    rgb = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)
    window = {"left": left, "top": 0, "right": left + width, "bottom": height}
    box = dict(zip(("x1", "y1", "x2", "y2"), window.values(), strict=True))
    return {"crop": f"images/{path.name}", "sharpness": crops.sharpness(rgb), **window, **box}
