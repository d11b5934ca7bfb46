"""What the demo does beyond the chain: flights with one cast, labels from their truth, a short training."""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from annotate.log.store import LABELS, LabelStore
from annotate.operations import Assign, Mark, NewIdentity, SetMark
from annotate.records import Tracklet, read_tracklets
from pipeline.boxes import iou
from pipeline.groundtruth.read import Truth, read_truth

if TYPE_CHECKING:
    from reid.evaluation.evaluate import Result
    from reid.evaluation.protocols import ProtocolName
    from reid.records import ReidData

_ON = 0.5  # IoU from which a detection is on a person
_CAST, _FLIGHTS = 20_000, (20_001, 20_002)  # seeds that no training flight had: the detector never saw these people


def simulate(folder: Path, people: int, seconds: float, bar: Callable[..., object]) -> list[Path]:
    """Two flights over the same people, each with its truth beside it; made where they are not there yet."""
    from pipeline.simulate import simulate_flight

    videos = []
    for number, seed in enumerate(_FLIGHTS, 1):
        video = folder / f"flight{number:02d}.mp4"
        if not (video.exists() and truth_of(video).exists()):
            with bar(f"simulating {video.name}", round(seconds * 30)) as advance:  # type: ignore[attr-defined]
                simulate_flight(
                    video, people=people, seconds=seconds, seed=seed, cast_seed=_CAST, altitude=20, progress=advance
                )
        videos.append(video)
    return videos


def truth_of(video: Path) -> Path:
    """Where the simulator wrote who is where."""
    return video.with_suffix(".gt.txt")


@dataclass
class Answered:
    """What the truth said in place of a hand.

    Attributes:
        identities: the truth's person -> the number that it got.
        detections: of tracklets that show somebody, those on a person.
        right: those of them on the person of their tracklet's identity.

    """

    identities: dict[int, int] = field(default_factory=dict)
    detections: int = 0
    right: int = 0


def label_by_truth(workspace: Path, truths: Mapping[str, Path]) -> Answered:
    """Label all tracklets as the truth of their flight says, in place of a hand.

    A tracklet is whom most of its detections are on, junk where most are on nobody. What has a label keeps it.
    """
    answered = Answered()
    with LabelStore(workspace / LABELS) as store:
        for flight, path in sorted(truths.items()):
            tracklets = read_tracklets(workspace, flight)
            store.add_flight(flight, tracklets)
            truth = read_truth(path)
            for tracklet in tracklets:
                seen = _shown(tracklet, truth)
                person = _person(seen, len(tracklet.detections))
                _label(store, f"{flight}/{tracklet.number}", person, answered.identities)
                if person is not None:
                    answered.detections += seen.total()
                    answered.right += seen[person]
    return answered


def _label(store: LabelStore, name: str, person: int | None, known: dict[int, int]) -> None:
    """The same tracklet is told the same by the same id: to be asked twice does nothing."""
    these, identifier = (name,), f"truth-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
    if person is None:
        store.apply(SetMark(tracklets=these, mark=Mark.JUNK), user="truth", id=identifier)
    elif person in known:
        store.apply(Assign(tracklets=these, identity=known[person]), user="truth", id=identifier)
    else:
        known[person] = int(store.apply(NewIdentity(tracklets=these), user="truth", id=identifier).created or 0)


def _shown(tracklet: Tracklet, truth: Mapping[int, Truth]) -> Counter[int]:
    """On whom how many of its detections are."""
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


def learn(data: "ReidData", output: Path, iterations: int, advance: Callable[[int, str], None]) -> Path:
    """A short training on `data`, from the network that comes with uavpipe; the checkpoint."""
    from reid.checkpoint import load_checkpoint
    from reid.config import CrossEntropyConfig, LossConfig, SamplerConfig, TrainConfig
    from reid.training.train import train
    from reid.weights import EMBEDDED

    config = TrainConfig(
        network=load_checkpoint(EMBEDDED).network,
        init="embedded",
        init_heads=True,
        loss=LossConfig(cross_entropy=CrossEntropyConfig()),  # its neck learns by it
        sampler=SamplerConfig(identities=6, images=4),
        iterations=iterations,
        decay_from=iterations // 2,
        learning_rate=3e-4,
        checkpoint_every=iterations,
    )
    return train(config, data, output, advance=advance)


def measure(data: "ReidData", place: Path, weights: Path, protocol: "ProtocolName", folder: Path) -> "Result":
    """How well the network in `weights` finds the people of `data`, the data set in `place`, again.

    What `uavpipe reid evaluate` would write goes to `folder`.
    """
    from pipeline.stages.evaluation import identified, write_evaluation
    from reid.embedder import Embedder
    from reid.evaluation.evaluate import Evaluation, Options

    options = Options(protocol)
    result = Evaluation(data.query, data.gallery, options, data.train).of(Embedder.load(weights, "auto"))
    write_evaluation(folder, result, options, {"weights": identified(weights), "data": str(place)}, pictures=60)
    return result
