"""How well stored detections fit a ground truth: recall and wrong boxes a frame, by threshold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.evaluation.curves import Judged
from detector.records import Detections
from pipeline.boxes import iou
from pipeline.groundtruth.read import NOBODY, Truth, inside


@dataclass(frozen=True)
class Score:
    """Result of `score` at one threshold.

    Attributes:
        threshold: lowest score counted.
        recall: found persons / asked persons; NaN without persons.
        precision: right boxes / boxes; NaN without boxes.
        wrong_per_frame: boxes that match nobody, per frame with truth.
        persons: number of persons asked for.

    """

    threshold: float
    recall: float
    precision: float
    wrong_per_frame: float
    persons: int


def match(truth: Truth, detections: Detections, min_iou: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which boxes of one frame are right, and which are counted at all: bool (n,) each.

    Each box, best score first, takes the free person it overlaps most, asked-for persons first. A box on a
    person not asked for is neither right nor wrong, nor is one on nobody in a region without annotations.
    """
    overlaps = iou(detections.boxes, truth.boxes)
    right, counted = np.zeros(len(overlaps), bool), ~inside(detections.boxes, truth.regions)
    free = np.ones(len(truth.boxes), bool)
    for place, row in enumerate(overlaps):
        candidates = free & (row >= min_iou)
        if candidates.any():
            chosen = int(np.argmax(np.where(candidates, row + truth.evaluated, -1)))
            free[chosen] = False
            right[place] = counted[place] = truth.evaluated[chosen]
    return right, counted


def judge(
    truth: Mapping[int, Truth], found: Mapping[int, Detections], min_iou: float = 0.5, frames: int | None = None
) -> Judged:
    """What is right and wrong of the detections `found`, by frame; the arguments are those of `score`."""
    indices = range(frames) if frames is not None else sorted(truth)
    none = Detections(np.empty((0, 4), np.float32), np.empty(0, np.float32))
    parts = [_judge(truth.get(index, NOBODY), found.get(index, none), min_iou) for index in indices]
    parts = parts or [_judge(NOBODY, none, min_iou)]
    scores, right, heights, persons = (np.concatenate([[], *part]) for part in zip(*parts, strict=True))
    order = np.argsort(-scores, kind="stable")
    return Judged(scores[order], right[order].astype(bool), heights[order], persons, max(len(indices), 1))


def _judge(truth: Truth, found: Detections, min_iou: float) -> tuple[NDArray[Any], ...]:
    right, counted = match(truth, found, min_iou)
    heights, asked = found.boxes[:, 3] - found.boxes[:, 1], truth.boxes[truth.evaluated]
    return found.scores[counted], right[counted], heights[counted], asked[:, 3] - asked[:, 1]


def score(
    truth: Mapping[int, Truth],
    detections: Mapping[int, Detections],
    thresholds: Sequence[float] = (0.5, 0.8),
    min_iou: float = 0.5,
    frames: int | None = None,
) -> list[Score]:
    """Score `detections` (by frame) against `truth` (by frame) at each threshold.

    Args:
        truth: as `pipeline.truth.read_truth` gives it.
        detections: as `pipeline.detect.read_detections` gives it.
        thresholds: lowest scores counted.
        min_iou: overlap from which a box is right.
        frames: number of frames with truth, empty ones included; None: those in `truth`.

    """
    judged = judge(truth, detections, min_iou, frames)
    points = [judged.at(threshold) for threshold in thresholds]
    persons, nan = len(judged.person_heights), float("nan")
    return [
        Score(
            point.threshold,
            nan if point.recall is None else point.recall,
            nan if point.precision is None else point.precision,
            point.false_per_image,
            persons,
        )
        for point in points
    ]
