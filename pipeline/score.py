"""How well stored detections fit a ground truth: recall and wrong boxes a frame, by threshold.

Ground truth comes as MOTChallenge text (`frame,id,left,top,width,height,…,visibility`, frames from 1; the
simulator writes it) or as one target a frame (`x,y,w,h` on line n for frame n, UAV123's form).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detector.records import Detections
from pipeline.errors import PipelineError

MIN_VISIBILITY = 0.25  # persons hidden more than this are neither asked for nor counted as wrong


@dataclass(frozen=True)
class Truth:
    """The persons of one frame.

    Attributes:
        boxes: float64 (n, 4) xyxy, pixels.
        asked: bool (n,); False for persons too hidden to be asked for.
        identities: int64 (n,), who it is.

    """

    boxes: NDArray[np.float64]
    asked: NDArray[np.bool_]
    identities: NDArray[np.int64]


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


def read_truth(path: Path) -> dict[int, Truth]:
    """Ground truth by frame index (from 0).

    Raises:
        PipelineError: the file is missing, or a row is not of either form; names file and line.

    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PipelineError(f"{path}: cannot be read as text: {error}") from None
    rows: dict[int, list[list[float]]] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        frame, row = _parse_row(path, number, line)
        rows.setdefault(frame, []).append(row)
    return {frame: _truth(np.array(those)) for frame, those in rows.items()}


def _parse_row(path: Path, number: int, line: str) -> tuple[int, list[float]]:
    try:
        values = [float(value) for value in line.split(",")]
    except ValueError:
        raise PipelineError(f"{path} line {number}: expected numbers and commas, found '{line[:40]}'") from None
    if len(values) == 4:
        return number - 1, [*values, 1.0, 1.0, 1.0]
    if len(values) in (9, 10) and values[0] >= 1 and values[0] == int(values[0]):
        return int(values[0]) - 1, [*values[2:6], values[6], values[8], values[1]]
    raise PipelineError(
        f"{path} line {number}: expected frame,id,left,top,width,height,flag,class,visibility or x,y,w,h, "
        f"found {len(values)} values"
    )


def _truth(rows: NDArray[np.float64]) -> Truth:
    rows = rows[np.isfinite(rows[:, :4]).all(axis=1)]  # UAV123 writes NaN where the target is out of view
    boxes = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:4]], axis=1)
    return Truth(boxes, (rows[:, 4] > 0) & (rows[:, 5] >= MIN_VISIBILITY), rows[:, 6].astype(np.int64))


def iou(first: NDArray[np.floating], second: NDArray[np.floating]) -> NDArray[np.float64]:
    """Intersection over union of xyxy boxes (n, 4) and (m, 4): float64 (n, m)."""
    low = np.maximum(first[:, None, :2], second[None, :, :2]).astype(np.float64)
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    overlap = np.clip(high - low, 0, None).prod(axis=2)
    area_first = (first[:, 2:] - first[:, :2]).astype(np.float64).prod(axis=1)
    area_second = (second[:, 2:] - second[:, :2]).astype(np.float64).prod(axis=1)
    union = area_first[:, None] + area_second[None] - overlap
    return np.asarray(overlap / np.maximum(union, 1e-9))


NOBODY = Truth(np.empty((0, 4)), np.empty(0, bool), np.empty(0, np.int64))


def match(truth: Truth, detections: Detections, min_iou: float) -> tuple[int, int]:
    """Right boxes and wrong boxes of one frame.

    Each box, best score first, takes the free person it overlaps most, asked-for persons first. A box on a
    person not asked for is neither right nor wrong.
    """
    overlaps = iou(detections.boxes, truth.boxes)
    free = np.ones(len(truth.boxes), bool)
    right = wrong = 0
    for row in overlaps:
        candidates = free & (row >= min_iou)
        if not candidates.any():
            wrong += 1
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
        truth: as `read_truth` gives it.
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
