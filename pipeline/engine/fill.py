"""Filling the parts of given segments, overlapped: decode | preprocess | detect | write, a thread a stage.

A frame stays in memory as long as some step needs it. Those are at most four queues of `QUEUE` (one of a batch,
where that is more), a frame for each of up to `PREPARING` threads, and two batches more than `predict` gets at
once: with a GPU, its batches of 16 and 8 cores or more, about 100 frames, of 6 MiB each at 1080p; on two cores 30.

All that this needs is in `Work`, and nothing here locks, begins or finishes a stage: so the segments of a video can
be filled in any order, in several processes, on several machines, and end with the same bytes.
"""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

from detector.backends.protocol import PersonDetector
from detector.records import Detections
from pipeline.engine import stop
from pipeline.engine.segment_stage import SegmentStage, SegmentWriter
from pipeline.engine.threads import cores, fan_out, ordered_map, prefetch
from pipeline.video import Damage, Frame, Segment, Video

QUEUE = 4  # items between two steps: enough to ride out jitter, few enough to keep 1080p frames out of memory
PREPARING = 8  # threads that preprocess, at most: Pillow, which scales as detectron2 does, takes 20 ms for 1080p


@dataclass(frozen=True)
class Work:
    """What filling segments needs.

    Attributes:
        video: the open video; pickled, it is opened again without another scan.
        stages: those to fill.
        load_detector: called where a segment lacks detections.
        stored_detections: the detections of a finished segment by frame index.

    """

    video: Video
    stages: tuple[SegmentStage, ...]
    load_detector: Callable[[], PersonDetector]
    stored_detections: Callable[[Segment], Mapping[int, Detections]]


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


def fill(work: Work, segments: Sequence[Segment], advance: Callable[[int], None]) -> None:
    """Fill those of `segments` that a stage still lacks; each is decoded once for all stages.

    Args:
        work: see `Work`.
        segments: of the video, in order.
        advance: called with numbers of frames that are finished, or at least with the writers.

    """
    lacking = {each.number: [stage for stage in work.stages if not stage.is_done(each)] for each in segments}
    todo = [segment for segment in segments if lacking[segment.number]]
    advance(sum(segment.stop - segment.first for segment in segments if not lacking[segment.number]))
    undetected = {
        range(segment.first, segment.stop)
        for segment in todo
        if any(stage.makes_detections for stage in lacking[segment.number])
    }
    steps: Generator[_Step] = prefetch(_decode(work.video, todo), QUEUE)
    runtime = ""
    if undetected:
        detector = work.load_detector()
        steps, runtime = _detect(steps, detector, undetected), detector.runtime
    with closing(steps), stop.stoppable():
        for segment in todo:
            stop.check()
            _write(steps, segment, lacking[segment.number], work, advance, runtime)


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
    workers = min(PREPARING, cores())
    prepared = ordered_map(preprocess, steps, workers, workers + 1)
    batches = _batched(prefetch(prepared, QUEUE), model.batch_size)
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
    steps: Generator[_Step],
    segment: Segment,
    stages: Sequence[SegmentStage],
    work: Work,
    advance: Callable[[int], None],
    runtime: str,
) -> None:
    """Write the parts of `segment` from the next of `steps`, up to the segment's end: a thread a stage."""
    reads = any(stage.reads_detections for stage in stages)
    makes = any(stage.makes_detections for stage in stages)
    stored = work.stored_detections(segment) if reads and not makes else {}
    with ExitStack() as stack:
        writers = [stack.enter_context(stage.writer(stage, segment)) for stage in stages]
        for writer in writers:
            writer.runtime = runtime
        fan_out(_one_segment(steps, stored, advance), [partial(_add, writer) for writer in writers], QUEUE)


def _one_segment(
    steps: Iterator[_Step], stored: Mapping[int, Detections], advance: Callable[[int], None]
) -> Iterator[_Step]:
    """The next of `steps`, up to a segment's end, with detections of `stored` where none were made."""
    for step in steps:
        if isinstance(step.item, _SegmentEnd):
            yield step
            advance(sum(damage.lost for damage in step.item.damage))
            return
        detections = stored.get(step.item.index) if step.detections is None else step.detections
        yield _Step(step.item, detections=detections)
        advance(1)


def _add(writer: SegmentWriter[Any], step: _Step) -> None:
    if isinstance(step.item, _SegmentEnd):
        if writer.stage.is_done(writer.segment):  # by another process that was thought dead: its part stays
            writer.drop()
        else:
            writer.finish(step.item.damage)
    else:
        writer.add(step.item, step.detections)
