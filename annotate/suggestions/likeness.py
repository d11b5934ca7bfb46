"""The likeness of a tracklet to a person, by the scores and heights of its detections."""

from collections.abc import Sequence
from statistics import median

from annotate.records import Detection

EASY = 0.8  # from this likeness on a tracklet is asked about first
UNLIKELY = 0.65  # below it a tracklet is asked about last, and with others at once
_TALL_PX = 32.0  # height in the frame from which a person can be told by their picture


def likeness(detections: Sequence[Detection]) -> float:
    """From 0 to 1: the median score of `detections`, less where their boxes are low."""
    height = median(each.box[3] - each.box[1] for each in detections)
    return median(each.score for each in detections) * min(1.0, height / _TALL_PX)
