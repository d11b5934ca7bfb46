"""What the stages that work through a video have in common: parts, resume, and one pass for all of them.

A pixel stage says which segments it still wants and takes their frames; `run_pass` decodes each wanted segment
once and hands every frame to all stages that want it, overlapped: decode | preprocess | model | write.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from typing import Any, Protocol

from detector.records import Detections
from pipeline.overlap import ordered_map, prefetch
from pipeline.tables import SegmentTable
from pipeline.video import Damage, Frame, Segment, Video
from pipeline.workspace import StageFolder, stage_fingerprint

QUEUE = 4  # items between two steps: enough to ride out jitter, few enough to keep 1080p frames out of memory


class SegmentWriter(Protocol):
    """Takes the frames of one segment in order, then ends it."""

    def add(self, frame: Frame, detections: Detections | None) -> None:
        """Take the next frame; `detections` is None where no stage asked for the model."""

    def finish(self, damage: Sequence[Damage]) -> None:
        """Write the segment's part; the segment is done when this returns."""


@dataclass
class PixelStage(ABC):
    """A stage whose work divides into the segments of a video.

    Attributes:
        folder: its folder in the workspace.
        inputs: fingerprints of what it reads.
        section: the settings it obeys.
    """

    folder: StageFolder
    inputs: dict[str, Any]
    section: dict[str, Any]

    @property
    @abstractmethod
    def name(self) -> str:
        """The stage's name."""

    @property
    @abstractmethod
    def table(self) -> SegmentTable:
        """The table it fills."""

    @abstractmethod
    def write(self, segment: Segment) -> SegmentWriter:
        """A writer for `segment`."""

    @abstractmethod
    def counts(self) -> dict[str, Any]:
        """What the finished stage found, for its manifest and the last line on the screen."""

    @property
    def fingerprint(self) -> str:
        """What the stage's result depends on."""
        return stage_fingerprint(self.name, self.inputs, self.section)

    def holds(self) -> bool:
        """Whether nothing needs to be done."""
        return self.folder.holds(self.fingerprint)

    def finish(self, video: Video, seconds: float) -> None:
        """Sweep what no segment claims, write the manifest."""
        self.table.sweep({segment.first for segment in video.segments})
        self.folder.finish(
            self.name, self.inputs, self.section, self.counts(), seconds, self.table.files(self.folder.path)
        )


class Model(Protocol):
    """What `run_pass` asks of a detector: `detector.predictor.Predictor` gives it."""

    batch_size: int
    workers: int

    def preprocess(self, image: Any) -> Any:
        """Resize one uint8 (H, W, 3) RGB image for the model."""

    def predict(self, batch: Any) -> list[Detections]:
        """The persons in each preprocessed image of `batch`."""


@dataclass(frozen=True, eq=False)
class _Step:
    """One frame on its way, or (without a frame) the end of its segment."""

    segment: Segment
    frame: Frame | None = None
    damage: tuple[Damage, ...] = ()
    prepared: Any = None
    detections: Detections | None = None


def run_pass(
    video: Video,
    stages: Sequence[PixelStage],
    model: Callable[[], Model] | None,
    stored_detections: Callable[[Segment], dict[int, Detections]] | None,
    advance: Callable[[int], None],
) -> None:
    """Bring every stage of `stages` to its end, decoding each segment that one of them still wants once.

    Args:
        video: the open video.
        stages: those that do not hold.
        model: makes the detector; called only if a segment lacks detections. None: no stage needs it.
        stored_detections: detections of a segment by frame index, where the detect stage finished it before.
        advance: called with the number of frames behind us, for progress.
    """
    started = time.monotonic()
    for stage in stages:
        stage.folder.begin()
    wanting = {
        segment.number: [stage for stage in stages if not stage.table.has(segment.first)]
        for segment in video.segments
    }
    todo = [segment for segment in video.segments if wanting[segment.number]]
    advance(sum(s.stop - s.first for s in video.segments if not wanting[s.number]))

    detecting = {
        number for number, those in wanting.items() if any(stage.name == "detect" for stage in those)
    }
    steps: Generator[_Step] = prefetch(_decode(video, todo), QUEUE)
    if detecting and model:
        steps = _detect(steps, model(), detecting)
    with closing(steps):
        _write(steps, wanting, detecting, stored_detections, advance)
    for stage in stages:
        stage.finish(video, time.monotonic() - started)


def _decode(video: Video, todo: Sequence[Segment]) -> Iterator[_Step]:
    for segment in todo:
        damage: list[Damage] = []
        for frame in video.read(segment, damage):
            yield _Step(segment, frame)
        yield _Step(segment, damage=tuple(damage))


def _detect(steps: Iterable[_Step], model: Model, wanted: set[int]) -> Generator[_Step]:
    """Put detections on every frame of the `wanted` segments."""

    def preprocess(step: _Step) -> _Step:
        if step.frame is None or step.segment.number not in wanted:
            return step
        return _Step(step.segment, step.frame, prepared=model.preprocess(step.frame.image))

    def predict(batch: list[_Step]) -> list[_Step]:
        to_do = [step for step in batch if step.prepared is not None]
        found = iter(model.predict([step.prepared for step in to_do])) if to_do else iter(())
        return [
            step if step.prepared is None else _Step(step.segment, step.frame, detections=next(found))
            for step in batch
        ]

    # A batch never spans two segments: a segment's result must not depend on where a killed run began again.
    batches = _batched(prefetch(map(preprocess, steps), QUEUE), model.batch_size)
    predicted = ordered_map(predict, batches, model.workers, model.workers + 1)
    return prefetch(chain.from_iterable(predicted), max(QUEUE, model.batch_size))


def _batched(steps: Generator[_Step], size: int) -> Generator[list[_Step]]:
    with closing(steps):
        batch: list[_Step] = []
        for step in steps:
            batch.append(step)
            if len(batch) >= size or step.frame is None:
                yield batch
                batch = []


def _write(
    steps: Iterable[_Step],
    wanting: dict[int, list[PixelStage]],
    detecting: set[int],
    stored_detections: Callable[[Segment], dict[int, Detections]] | None,
    advance: Callable[[int], None],
) -> None:
    current: Segment | None = None
    writers: list[SegmentWriter] = []
    stored: dict[int, Detections] = {}
    for step in steps:
        if step.segment is not current:
            current = step.segment
            writers = [stage.write(current) for stage in wanting[current.number]]
            from_disk = stored_detections is not None and current.number not in detecting
            stored = stored_detections(current) if from_disk and stored_detections else {}
        if step.frame is None:
            for writer in writers:
                writer.finish(step.damage)
            advance(sum(damage.lost for damage in step.damage))
        else:
            detections = step.detections
            if detections is None:
                detections = stored.get(step.frame.index)
            for writer in writers:
                writer.add(step.frame, detections)
            advance(1)
