"""A frame's way to its detections, overlapped: decode | preprocess | detect.

A frame stays in memory as long as some step needs it. Those are at most four queues of `QUEUE` (one of a batch,
where that is more), a frame for each of up to `PREPARING` threads, and two batches more than `predict` gets at
once: with a GPU, its batches of 16 and 8 cores or more, about 100 frames, of 6 MiB each at 1080p; on two cores 30.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from detector.backends.batches import batched
from detector.backends.protocol import PersonDetector
from detector.records import Detections
from pipeline.engine.threads import cores, ordered_map, prefetch
from pipeline.video import Damage, Frame, Segment, Video

QUEUE = 4  # items between two steps: enough to ride out jitter, few enough to keep 1080p frames out of memory
PREPARING = 8  # threads that preprocess, at most: Pillow, which scales as detectron2 does, takes 20 ms for 1080p


@dataclass(frozen=True, eq=False)
class SegmentEnd:
    """Comes after the last frame of a segment, with all that was wrong in it."""

    damage: tuple[Damage, ...]


@dataclass(frozen=True, eq=False)
class Step:
    """A frame on its way through the steps, or the end of a segment."""

    item: Frame | SegmentEnd
    prepared: Any = None
    detections: Detections | None = None


def decode(video: Video, segments: Sequence[Segment]) -> Generator[Step]:
    """The frames of `segments`, and the end of each."""
    for segment in segments:
        damage: list[Damage] = []
        for frame in video.read(segment, damage):
            yield Step(frame)
        yield Step(SegmentEnd(tuple(damage)))


def detect(steps: Generator[Step], model: PersonDetector, wanted: set[range]) -> Generator[Step]:
    """Put detections on every frame of the `wanted` stretches of frame numbers, several batches at once."""

    def preprocess(step: Step) -> Step:
        frame = step.item
        if not isinstance(frame, Frame) or not any(frame.index in stretch for stretch in wanted):
            return step
        return Step(frame, prepared=model.preprocess(frame.image))

    def predict(batch: list[Step]) -> list[Step]:
        found = iter(model.predict([step.prepared for step in batch if step.prepared is not None]))
        return [step if step.prepared is None else Step(step.item, detections=next(found)) for step in batch]

    # A batch never spans two segments: a segment's result must not depend on where a killed run began again.
    workers = min(PREPARING, cores())
    prepared = ordered_map(preprocess, steps, workers, workers + 1)
    steps = prefetch(prepared, QUEUE)
    batches = batched(
        steps, model.batch_size, lambda step: step.prepared, lambda step: isinstance(step.item, SegmentEnd)
    )
    predicted = ordered_map(predict, batches, model.workers, model.workers + 1)
    return prefetch(chain.from_iterable(predicted), max(QUEUE, model.batch_size))
