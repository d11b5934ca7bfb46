"""The average precision of the VisDrone-DET challenge, as its official toolkit computes it.

Rules from the toolkit (github.com/VisDrone/VisDrone2018-DET-toolkit, MATLAB), where they differ from COCO's:

- Persons and detections with half their area or more in ignored regions are dropped before anything else.
- The first 500 detections of an image count (for AR the first 1, 10, 100, 500), over all classes, in file order.
- A ground-truth box with score 0 excuses detections of its class inside it, but counts in the recall's
  denominator: a perfect detector that does not find it has a recall below 1.
- The precision is interpolated at every recall that is reached (PASCAL VOC 2010), not at 101.
- In the mean over classes a class weighs as many times as there are images that contain it. "Others" is none.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.annotations.coco import AnnotatedImage
from detector.evaluation.matching import NOBODY, match, overlaps
from detector.records import Detections, as_xywh

CAPS = (1, 10, 100, 500)
OTHERS = 11
_THRESHOLDS = np.arange(50, 100, 5) / 100
_DROPPED = 0.5  # share of a box in ignored regions
_WRONG, _RIGHT, _NEITHER = 0, 1, -1


@dataclass(frozen=True, eq=False)
class VisdroneImage:
    """The ground truth of an image and its detections; all boxes xyxy in px, any float type.

    Attributes:
        size: width and height in px.
        regions: (r, 4), regions without annotations (VisDrone's category 0).
        boxes: (g, 4), the ground truth.
        classes: int (g,), theirs.
        ignored: bool (g,), those with score 0.
        detections: (d, 4), in the order of the file.
        scores: (d,).
        detection_classes: int (d,).

    """

    size: tuple[int, int]
    regions: NDArray[np.floating]
    boxes: NDArray[np.floating]
    classes: NDArray[np.integer]
    ignored: NDArray[np.bool_]
    detections: NDArray[np.floating]
    scores: NDArray[np.floating]
    detection_classes: NDArray[np.integer]


def visdrone_ap(images: Sequence[VisdroneImage]) -> dict[str, float]:
    """The toolkit's figures, from 0 to 1; -1 where the ground truth has no object of any class.

    Returns:
        AP (mean over IoU .50:.05:.95), AP50, AP75, and AR1, AR10, AR100, AR500: the recall at that many
        detections per image.

    """
    images = [_outside_regions(image) for image in images]
    present = np.concatenate([np.unique(image.classes) for image in images])
    classes, weights = np.unique(present[present != OTHERS], return_counts=True)
    if not len(classes):
        return dict.fromkeys(("AP", "AP50", "AP75", *(f"AR{cap}" for cap in CAPS)), -1.0)
    by_class = [_class_figures(images, number) for number in classes]
    precision, recall = (np.average(values, axis=0, weights=weights) for values in zip(*by_class, strict=True))
    figures = {"AP": precision.mean(), "AP50": precision[0], "AP75": precision[5]}
    figures |= {f"AR{cap}": value for cap, value in zip(CAPS, recall.mean(axis=1), strict=True)}
    return {name: float(value) for name, value in figures.items()}


def person_visdrone_ap(
    images: Sequence[AnnotatedImage], found: Sequence[Detections], sizes: Sequence[tuple[int, int]]
) -> dict[str, float]:
    """As `visdrone_ap`, for persons as the one class; `sizes` are the images' widths and heights in px."""
    return visdrone_ap([_persons(*each) for each in zip(images, found, sizes, strict=True)])


def _persons(image: AnnotatedImage, found: Detections, size: tuple[int, int]) -> VisdroneImage:
    boxes = np.concatenate([image.boxes, image.ignored_persons])
    return VisdroneImage(
        size=size,
        regions=image.regions,
        boxes=boxes,
        classes=np.ones(len(boxes), np.int64),
        ignored=np.arange(len(boxes)) >= len(image.boxes),
        detections=found.boxes,
        scores=found.scores,
        detection_classes=np.ones(len(found), np.int64),
    )


def _outside_regions(image: VisdroneImage) -> VisdroneImage:
    """`image` without the boxes and detections of which half or more is in its regions."""
    if not len(image.regions):
        return image
    width, height = image.size
    covered = np.zeros((height, width), np.uint8)
    for x, y, region_width, region_height in _pixels(image.regions):
        # The toolkit's regions begin one pixel further left and up than its boxes do.
        covered[y - 1 : y + region_height, x - 1 : x + region_width] = 1
    total = cv2.integral(covered)
    asked, found = (_share_in_regions(total, boxes) < _DROPPED for boxes in (image.boxes, image.detections))
    return replace(
        image,
        boxes=image.boxes[asked],
        classes=image.classes[asked],
        ignored=image.ignored[asked],
        detections=image.detections[found],
        scores=image.scores[found],
        detection_classes=image.detection_classes[found],
    )


def _pixels(boxes: NDArray[np.floating]) -> NDArray[np.int64]:
    """Left, top, width and height in whole pixels, each at least 1, as the toolkit rounds them."""
    rounded = np.floor(as_xywh(np.asarray(boxes, np.float64)) + 0.5)
    return np.maximum(rounded, 1).astype(np.int64)


def _share_in_regions(total: NDArray[np.int32], boxes: NDArray[np.floating]) -> NDArray[np.float64]:
    """The share of each box inside regions; `total[y, x]` counts their pixels above y and left of x."""
    left, top, width, height = _pixels(boxes).T
    last_row, last_column = total.shape[0] - 1, total.shape[1] - 1
    x1, x2 = np.minimum(left, last_column), np.minimum(left + width, last_column)
    y1, y2 = np.minimum(top, last_row), np.minimum(top + height, last_row)
    inside = total[y2, x2] - total[y1, x2] - total[y2, x1] + total[y1, x1]
    return inside / (width * height)


def _class_figures(images: Sequence[VisdroneImage], number: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """AP of one class by threshold (t,), and its recall by number of detections and threshold (caps, t)."""
    persons = sum(int((image.classes == number).sum()) for image in images)
    recalls = []
    for cap in CAPS:
        judged = [_judge(image, number, cap) for image in images]
        scores = np.concatenate([each for each, _ in judged])
        verdicts = np.concatenate([each for _, each in judged], axis=1)
        verdicts = verdicts[:, np.argsort(-scores, kind="stable")]
        right = np.cumsum(verdicts == _RIGHT, axis=1)
        wrong = np.cumsum(verdicts == _WRONG, axis=1)
        recall = right / max(1, persons)
        recalls.append(recall.max(axis=1, initial=0))
    precision = right / np.maximum(1, right + wrong)
    return np.array([_voc_ap(*each) for each in zip(recall, precision, strict=True)]), np.array(recalls)


def _judge(image: VisdroneImage, number: int, cap: int) -> tuple[NDArray[np.floating], NDArray[np.int64]]:
    """Scores (d,) and verdicts (t, d) of the detections of one class among the first `cap`."""
    of_class = image.detection_classes[:cap] == number
    scores, detections = image.scores[:cap][of_class], image.detections[:cap][of_class]
    order = np.argsort(-scores, kind="stable")
    asked = image.classes == number
    ignored = image.ignored[asked]
    chosen = match(overlaps(detections[order], image.boxes[asked], ignored), ignored, _THRESHOLDS)
    of_ignored = np.append(ignored, False)[chosen]  # NOBODY, -1, is the last
    return scores[order], np.where(chosen == NOBODY, _WRONG, np.where(of_ignored, _NEITHER, _RIGHT))


def _voc_ap(recall: NDArray[np.float64], precision: NDArray[np.float64]) -> float:
    """Area under the curve, each precision being the best at that recall or a higher one (PASCAL VOC 2010)."""
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall, prepend=0) * best))
