"""What the stages that work through a video have in common: parts, resume, and one pass for all of them.

A pixel stage says which segments it still wants and takes their frames; `run_pass` decodes each wanted segment
once and hands every frame to all stages that want it, overlapped: decode | preprocess | model | write.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from typing import Any, ClassVar, Protocol

from detector.backends.protocol import PersonDetector
from detector.records import Detections
from pipeline.engine.threads import ordered_map, prefetch
from pipeline.video import Damage, Frame, Segment, Video
from pipeline.workspace.manifest import StageFolder, stage_fingerprint
from pipeline.workspace.tables import SegmentTable

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
        reads_detections: whether its writers need them; said by the class.

    """

    reads_detections: ClassVar[bool] = False
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

    def done(self, segment: Segment) -> bool:
        """Whether `segment` was finished from these inputs and settings."""
        return self.table.has(segment.first)

    def is_current(self) -> bool:
        """Whether nothing needs to be done."""
        return self.folder.is_current(self.fingerprint)

    def files(self) -> list[str]:
        """What `is_current` checks, relative to the folder."""
        return self.table.files(self.folder.path)

    def finish(self, video: Video, seconds: float) -> None:
        """Sweep what no segment claims, write the manifest."""
        self.table.sweep({segment.first for segment in video.segments})
        self.folder.finish(self.name, self.inputs, self.section, self.counts(), seconds, self.files())


@dataclass(frozen=True, eq=False)
class _SegmentEnd:
    """Comes after the last frame of a segment, with all that was wrong in it."""

    damage: tuple[Damage, ...]


@dataclass(frozen=True, eq=False)
class _Step:
    """A frame on its way through the steps, or the end of a segment."""

    item: Frame | _SegmentEnd
    prepared: Any = None
    detections: Detections | None = None


def run_pass(
    video: Video,
    stages: Sequence[PixelStage],
    model: Callable[[], PersonDetector],
    stored_detections: Callable[[Segment], dict[int, Detections]],
    advance: Callable[[int], None],
) -> None:
    """Bring every stage of `stages` to its end, decoding each segment that one of them still wants once.

    Args:
        video: the open video.
        stages: those that do not hold.
        model: makes the detector; called only if a segment lacks detections.
        stored_detections: detections of a segment by frame index, as the detect stage stored them.
        advance: called with the number of frames behind us, for progress.

    """
    started = time.monotonic()
    for stage in stages:
        stage.folder.begin()
    wanting = {segment.number: [stage for stage in stages if not stage.done(segment)] for segment in video.segments}
    todo = [segment for segment in video.segments if wanting[segment.number]]
    advance(video.frame_count - sum(segment.stop - segment.first for segment in todo))
    undetected = {
        range(segment.first, segment.stop)
        for segment in todo
        if any(stage.name == "detect" for stage in wanting[segment.number])
    }
    steps: Generator[_Step] = prefetch(_decode(video, todo), QUEUE)
    if undetected:
        steps = _detect(steps, model(), undetected)
    with closing(steps):
        _write(steps, todo, wanting, stored_detections, advance)
    for stage in stages:
        stage.finish(video, time.monotonic() - started)


def _decode(video: Video, todo: Sequence[Segment]) -> Generator[_Step]:
    for segment in todo:
        damage: list[Damage] = []
        for frame in video.read(segment, damage):
            yield _Step(frame)
        yield _Step(_SegmentEnd(tuple(damage)))


def _detect(steps: Generator[_Step], model: PersonDetector, wanted: set[range]) -> Generator[_Step]:
    """Put detections on every frame of the `wanted` stretches."""

    def preprocess(step: _Step) -> _Step:
        frame = step.item
        if not isinstance(frame, Frame) or not any(frame.index in stretch for stretch in wanted):
            return step
        return _Step(frame, prepared=model.preprocess(frame.image))

    def predict(batch: list[_Step]) -> list[_Step]:
        found = iter(model.predict([step.prepared for step in batch if step.prepared is not None]))
        return [step if step.prepared is None else _Step(step.item, detections=next(found)) for step in batch]

    # A batch never spans two segments: a segment's result must not depend on where a killed run began again.
    batches = _batched(prefetch(map(preprocess, steps), QUEUE), model.batch_size)
    predicted = ordered_map(predict, batches, model.workers, model.workers + 1)
    return prefetch(chain.from_iterable(predicted), max(QUEUE, model.batch_size))


def _batched(steps: Generator[_Step], size: int) -> Generator[list[_Step]]:
    with closing(steps):
        batch: list[_Step] = []
        for step in steps:
            batch.append(step)
            if len(batch) >= size or isinstance(step.item, _SegmentEnd):
                yield batch
                batch = []


def _write(
    steps: Iterable[_Step],
    todo: Sequence[Segment],
    wanting: dict[int, list[PixelStage]],
    stored_detections: Callable[[Segment], dict[int, Detections]],
    advance: Callable[[int], None],
) -> None:
    ahead = iter(todo)
    writers: list[SegmentWriter] | None = None
    stored: dict[int, Detections] = {}
    for step in steps:
        if writers is None:  # the first item of a segment
            segment = next(ahead)
            stages = wanting[segment.number]
            writers = [stage.write(segment) for stage in stages]
            names = {stage.name for stage in stages}
            wanted = "detect" not in names and any(stage.reads_detections for stage in stages)
            stored = stored_detections(segment) if wanted else {}
        if isinstance(step.item, _SegmentEnd):
            for writer in writers:
                writer.finish(step.item.damage)
            advance(sum(damage.lost for damage in step.item.damage))
            writers = None
        else:
            detections = stored.get(step.item.index) if step.detections is None else step.detections
            for writer in writers:
                writer.add(step.item, detections)
            advance(1)
