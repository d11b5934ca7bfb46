"""Filling the parts of given segments, overlapped: decode | preprocess | detect | write, a thread a stage.

All that this needs is in `Work`, and nothing here locks, begins or finishes a stage: so the segments of a video can
be filled in any order, in several processes, on several machines, and end with the same bytes.
"""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from typing import Any

from detector.backends.protocol import PersonDetector
from detector.records import Detections
from pipeline.engine import stop
from pipeline.engine.segment_stage import SegmentStage, SegmentWriter
from pipeline.engine.steps import QUEUE, SegmentEnd, Step, decode, detect
from pipeline.engine.threads import fan_out, prefetch
from pipeline.video import Segment, Video


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
    steps: Generator[Step] = prefetch(decode(work.video, todo), QUEUE)
    runtime = ""
    if undetected:
        detector = work.load_detector()
        steps, runtime = detect(steps, detector, undetected), detector.runtime
    with closing(steps), stop.stoppable():
        for segment in todo:
            stop.check()
            _write(steps, segment, lacking[segment.number], work, advance, runtime)


def _write(
    steps: Generator[Step],
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
    steps: Iterator[Step], stored: Mapping[int, Detections], advance: Callable[[int], None]
) -> Iterator[Step]:
    """The next of `steps`, up to a segment's end, with detections of `stored` where none were made."""
    for step in steps:
        if isinstance(step.item, SegmentEnd):
            yield step
            advance(sum(damage.lost for damage in step.item.damage))
            return
        detections = stored.get(step.item.index) if step.detections is None else step.detections
        yield Step(step.item, detections=detections)
        advance(1)


def _add(writer: SegmentWriter[Any], step: Step) -> None:
    if isinstance(step.item, SegmentEnd):
        if writer.stage.is_done(writer.segment):  # by another process that was thought dead: its part stays
            writer.drop()
        else:
            writer.finish(step.item.damage)
    else:
        writer.add(step.item, step.detections)
