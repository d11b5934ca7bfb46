"""How well stored detections fit a ground truth: recall and wrong boxes a frame, by threshold."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from detector.records import Detections
from pipeline.truth import NOBODY, Truth, inside, iou


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


def match(truth: Truth, detections: Detections, min_iou: float) -> tuple[int, int]:
    """Right boxes and wrong boxes of one frame.

    Each box, best score first, takes the free person it overlaps most, asked-for persons first. A box on a
    person not asked for is neither right nor wrong, nor is one on nobody in a region without annotations.
    """
    overlaps = iou(detections.boxes, truth.boxes)
    judged = ~inside(detections.boxes, truth.regions)
    free = np.ones(len(truth.boxes), bool)
    right = wrong = 0
    for row, counts in zip(overlaps, judged, strict=True):
        candidates = free & (row >= min_iou)
        if not candidates.any():
            wrong += int(counts)
            continue
        chosen = int(np.argmax(np.where(candidates, row + truth.asked, -1)))
        free[chosen] = False
        right += int(truth.asked[chosen])
    return right, wrong


def score(
    truth: dict[int, Truth],
    detections: dict[int, Detections],
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
    indices = range(frames) if frames is not None else sorted(truth)
    results = []
    for threshold in thresholds:
        right = wrong = persons = 0
        for index in indices:
            here = truth.get(index, NOBODY)
            persons += int(here.asked.sum())
            if index in detections:
                hit, miss = match(here, detections[index].above(threshold), min_iou)
                right, wrong = right + hit, wrong + miss
        results.append(
            Score(
                threshold,
                right / persons if persons else float("nan"),
                right / (right + wrong) if right + wrong else float("nan"),
                wrong / max(len(indices), 1),
                persons,
            )
        )
    return results
