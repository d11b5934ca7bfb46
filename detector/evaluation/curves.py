"""Precision and recall of a person detector by score: for all persons, by their height, by the drone's altitude.

Matching is COCO's, at IoU 0.5: a detection on something to ignore is neither right nor wrong. A right detection
has the height of its person, a wrong one its own, so that the parts add up to the whole.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detector.annotations.coco import AnnotatedImage
from detector.evaluation.matching import NOBODY, match, overlaps
from detector.records import Detections, sides

_THRESHOLDS = (0.3, 0.5, 0.8)  # 0.8 is the paper's for crops
_IOU = np.array([0.5])
RECALLS = np.linspace(0, 1, 101)  # where COCO reads the precision
# px of the original image; below 12 px persons are hardly identifiable, from 60 px a re-id network can work.
_HEIGHTS = (0, 12, 20, 35, 60, np.inf)
_ALTITUDES = (10, 20, 30, 50, 80, 120)  # metres above take-off, where parts begin; the first one is below them


@dataclass(frozen=True)
class OperatingPoint:
    """Recall and precision of the detections from one score up.

    Attributes:
        threshold: the score.
        recall: share of the persons that are found; None if there are none.
        precision: share of the detections that are right; None if there are none.
        false_per_image: wrong detections per image.

    """

    threshold: float
    recall: float | None
    precision: float | None
    false_per_image: float


@dataclass(frozen=True, eq=False)
class Curve:
    """Precision at COCO's 101 recalls.

    Attributes:
        recall: float64 (101,), 0, .01, … 1.
        precision: float64 (101,), the best at this recall or a higher one; 0 where it is not reached.
        score: float64 (101,), the score down to which detections are taken to reach it; NaN where it is not.

    """

    recall: NDArray[np.float64]
    precision: NDArray[np.float64]
    score: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Judged:
    """Detections that are right or wrong, best first, and the persons to find.

    Attributes:
        scores: float32 (n,).
        right: bool (n,).
        heights: float32 (n,), px: of the person where right, of the detection where wrong.
        person_heights: float32 (p,), px.
        images: how many images there are.

    """

    scores: NDArray[np.float32]
    right: NDArray[np.bool_]
    heights: NDArray[np.float32]
    person_heights: NDArray[np.float32]
    images: int

    def between(self, low: float, high: float) -> "Judged":
        """Those from `low` up to, but not including, `high` px of height."""
        kept, asked = ((low <= heights) & (heights < high) for heights in (self.heights, self.person_heights))
        return Judged(
            self.scores[kept], self.right[kept], self.heights[kept], self.person_heights[asked], self.images
        )

    def points(self) -> list[OperatingPoint]:
        """Recall and precision at scores of 0.3, 0.5 and 0.8."""
        return [self.at(threshold) for threshold in _THRESHOLDS]

    def at(self, threshold: float) -> OperatingPoint:
        """Recall, precision and wrong detections at scores of at least `threshold`."""
        right = self.right[self.scores >= threshold]
        persons, found, taken = len(self.person_heights), int(right.sum()), len(right)
        return OperatingPoint(
            threshold=threshold,
            recall=found / persons if persons else None,
            precision=found / taken if taken else None,
            false_per_image=(taken - found) / self.images,
        )

    def curve(self) -> Curve:
        """Precision by recall."""
        right = np.cumsum(self.right)
        recall = right / max(1, len(self.person_heights))
        precision = right / np.arange(1, len(right) + 1)
        best = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0)
        places = np.searchsorted(recall, RECALLS)
        return Curve(RECALLS, best[places], np.append(self.scores, np.nan)[places].astype(np.float64))

    def ap50(self) -> float | None:
        """COCO's AP50; None without persons."""
        return float(self.curve().precision.mean()) if len(self.person_heights) else None


def judge(images: Sequence[AnnotatedImage], found: Sequence[Detections], max_detections: int) -> Judged:
    """Compare what was `found`, the best `max_detections` of each image, with the persons in `images`."""
    return together(judge_each(images, found, max_detections))


def judge_each(images: Sequence[AnnotatedImage], found: Sequence[Detections], max_detections: int) -> list[Judged]:
    """As `judge`, but each image for itself."""
    return [_judge(image, each[:max_detections]) for image, each in zip(images, found, strict=True)]


def together(parts: Sequence[Judged]) -> Judged:
    """The detections and the persons of all `parts`, which are of different images; at least one part."""
    scores, right, heights, persons = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("scores", "right", "heights", "person_heights")
    )
    order = np.argsort(-scores, kind="stable")
    return Judged(scores[order], right[order], heights[order], persons, sum(part.images for part in parts))


def by_height(judged: Judged) -> dict[str, Judged]:
    """`judged` in parts, by names as "12–20 px"."""
    parts = {}
    for low, high in pairwise(_HEIGHTS):
        name = f"<{high:g} px" if low == 0 else f"≥{low:g} px" if high == np.inf else f"{low:g}–{high:g} px"
        parts[name] = judged.between(low, high)
    return parts


def by_altitude(images: Sequence[AnnotatedImage], judged: Sequence[Judged]) -> dict[str, Judged]:
    """`judged`, of each of `images`, in parts by names as "20–30 m"; images of unknown altitude are in none."""
    parts: dict[int, list[Judged]] = defaultdict(list)
    for image, each in zip(images, judged, strict=True):
        if image.altitude is not None:
            parts[int(np.digitize(image.altitude, _ALTITUDES))].append(each)
    names = [
        f"<{_ALTITUDES[0]} m",
        *(f"{low}–{high} m" for low, high in pairwise(_ALTITUDES)),
        f"≥{_ALTITUDES[-1]} m",
    ]
    return {names[place]: together(parts[place]) for place in sorted(parts)}


def _judge(image: AnnotatedImage, found: Detections) -> Judged:
    asked = np.concatenate([image.boxes, image.ignored])
    ignored = np.arange(len(asked)) >= len(image.boxes)
    chosen = match(overlaps(found.boxes, asked, ignored), ignored, _IOU)[0]
    right = (chosen != NOBODY) & (chosen < len(image.boxes))
    heights, persons = found.heights, sides(image.boxes)[:, 1]
    heights[right] = persons[chosen[right]]
    counted = right | (chosen == NOBODY)
    return Judged(found.scores[counted], right[counted], heights[counted], persons, images=1)


def write_csv(path: Path, parts: dict[str, Judged]) -> None:
    """The curves of all `parts`: columns height, recall, precision, score (empty where that is not reached)."""
    lines = ["height,recall,precision,score"]
    for name, judged in parts.items():
        curve = judged.curve()
        for recall, precision, score in zip(curve.recall, curve.precision, curve.score, strict=True):
            lines.append(f"{name},{recall:.2f},{precision:.6f},{'' if np.isnan(score) else f'{score:.6f}'}")
    path.write_text("\n".join(lines) + "\n", "utf-8")
