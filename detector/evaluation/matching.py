"""Matching of detections and persons: the greedy assignment of COCO and VisDrone (Dollár's, of Caltech)."""

import numpy as np
from numpy.typing import NDArray

from detector.records import as_xywh

NOBODY = -1


def overlaps(
    detections: NDArray[np.floating], asked: NDArray[np.floating], ignored: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """The overlap of each detection with each box of the ground truth: float64 (d, g) in [0, 1].

    It is the IoU; with a box to ignore, the share of the detection's area inside that box.

    Args:
        detections: (d, 4) xyxy in px.
        asked: (g, 4) xyxy in px, the ground truth.
        ignored: bool (g,).

    """
    from faster_coco_eval.core import mask

    if not len(detections) or not len(asked):
        return np.zeros((len(detections), len(asked)))
    first, second = (as_xywh(boxes.astype(np.float64)) for boxes in (detections, asked))
    return np.asarray(mask.iou(first, second, ignored.astype(np.uint8)))


def match(
    fits: NDArray[np.float64], ignored: NDArray[np.bool_], thresholds: NDArray[np.float64]
) -> NDArray[np.int64]:
    """The box of the ground truth that each detection takes at each threshold, or `NOBODY`: int64 (t, d).

    The detections choose one after the other, in the order of `fits`. Each takes the free box that it fits best,
    at least by the threshold. A person comes before a box to ignore, however well that fits; a box to ignore can be
    taken any number of times. Of boxes that fit equally the last one is taken.

    Args:
        fits: float64 (d, g), from `overlaps`; best detection first.
        ignored: bool (g,).
        thresholds: float64 (t,).

    """
    chosen = np.full((len(thresholds), len(fits)), NOBODY)
    if not fits.size:
        return chosen
    free = np.ones((len(thresholds), len(ignored)), bool)
    near = fits >= thresholds.min()
    rows = np.arange(len(thresholds))
    for detection in np.flatnonzero(near.any(axis=1)):
        boxes = np.flatnonzero(near[detection])[::-1]  # argmax takes the first of equals
        fit = fits[detection, boxes]
        possible = free[:, boxes] & (fit >= thresholds[:, None])
        persons = possible & ~ignored[boxes]
        possible = np.where(persons.any(axis=1, keepdims=True), persons, possible)
        best = boxes[np.where(possible, fit, -1).argmax(axis=1)]
        hit = possible.any(axis=1)
        chosen[hit, detection] = best[hit]
        taken = hit & ~ignored[best]
        free[rows[taken], best[taken]] = False
    return chosen
