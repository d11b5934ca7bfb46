"""Metrics of stored detections against a ground truth: recall and wrong boxes per frame, by threshold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detector.evaluation import matching
from detector.evaluation.curves import Judged, together
from detector.records import Detections, sides
from pipeline.boxes import iou
from pipeline.errors import PipelineError
from pipeline.groundtruth.read import NOBODY, Truth, inside

_NO_FIT, _ANY_FIT = -1.0, np.zeros(1)


@dataclass(frozen=True)
class Score:
    """Result of `score` at one threshold.

    Attributes:
        threshold: lowest score counted.
        recall: detected persons / evaluated persons; NaN without persons.
        precision: right boxes / boxes; NaN without boxes.
        wrong_per_frame: boxes that match nobody, per frame with ground truth.
        persons: number of evaluated persons.

    """

    threshold: float
    recall: float
    precision: float
    wrong_per_frame: float
    persons: int


def match(truth: Truth, detections: Detections, min_iou: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which boxes of one frame are right, and which are counted at all: bool (n,) each.

    Each box, best score first, takes the free person it overlaps most, evaluated persons first. A box on a
    person that is not evaluated is neither right nor wrong, nor is one on nobody in a region without annotations.
    Unlike in COCO's rules, a person that is not evaluated is matched by IoU, and excuses one box only.
    """
    overlap = iou(detections.boxes, truth.boxes)
    persons = np.where(overlap >= min_iou, overlap + truth.evaluated, _NO_FIT)
    regions = np.where(inside(detections.boxes, truth.regions), 1.0, _NO_FIT)
    ignored = np.append(np.zeros(len(truth.boxes), bool), True)  # persons, then all regions as one
    chosen = matching.match(np.column_stack([persons, regions]), ignored, _ANY_FIT)[0]
    right = np.array([*truth.evaluated, False, False])[chosen]  # the last one for NOBODY, -1
    return right, right | (chosen == matching.NOBODY)


def check_matched(
    path: Path, truth: Mapping[int, Truth], found: Mapping[int, Detections], min_iou: float = 0.5
) -> None:
    """See that the ground truth in `path` is one of these detections.

    Raises:
        PipelineError: there are persons and detections in the frames of `truth`, and none on another.

    """
    persons = detections = 0
    for frame, here in truth.items():
        boxes = found.get(frame, Detections.empty()).boxes
        persons, detections = persons + int(here.evaluated.sum()), detections + len(boxes)
        if (iou(boxes, here.boxes[here.evaluated]) >= min_iou).any():
            return
    if persons and detections:
        raise PipelineError(
            f"{path}: none of its {persons:,} persons is on one of the {detections:,} boxes of the flight in these "
            f"frames, from IoU {min_iou:g} up; check that it is of this flight, and its frames"
        )


def judge(
    truth: Mapping[int, Truth], found: Mapping[int, Detections], min_iou: float = 0.5, frames: int | None = None
) -> Judged:
    """Which of the detections `found` are right and wrong; the arguments are those of `score`."""
    indices = range(frames) if frames is not None else sorted(truth)
    nothing = Detections.empty()
    parts = [_judge(truth.get(index, NOBODY), found.get(index, nothing), min_iou) for index in indices]
    return together(parts or [_judge(NOBODY, nothing, min_iou)])


def _judge(truth: Truth, found: Detections, min_iou: float) -> Judged:
    right, counted = match(truth, found, min_iou)
    persons = sides(truth.boxes[truth.evaluated])[:, 1]
    return Judged(found.scores[counted], right[counted], found.heights[counted], persons, images=1)


def score(
    truth: Mapping[int, Truth],
    detections: Mapping[int, Detections],
    thresholds: Sequence[float] = (0.5, 0.8),
    min_iou: float = 0.5,
    frames: int | None = None,
) -> list[Score]:
    """Score `detections` (by frame) against the ground truth (by frame) at each threshold.

    Args:
        truth: as `read_truth` returns it.
        detections: as `read_detections` returns it.
        thresholds: lowest scores counted.
        min_iou: overlap from which a box is right.
        frames: number of frames with ground truth, empty ones included; None: those in `truth`.

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
