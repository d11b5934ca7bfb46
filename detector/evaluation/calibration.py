"""Scores that say how often they are right: how far they do, and a curve over the network's own that does.

A network of two classes has the score sigmoid(person - background). If its last layer is scaled and shifted, it has
sigmoid(slope * (person - background) + offset). So a calibrated detector is a checkpoint like any other, and every
backend and export runs it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from detector.errors import DetectorError
from detector.evaluation.curves import Judged
from detector.scores import ScoreLine, logits

if TYPE_CHECKING:
    from torch import Tensor

_BINS = 10
_LAYER = "roi_heads.box_predictor.cls_score."


@dataclass(frozen=True)
class Bin:
    """The detections of a range of scores.

    Attributes:
        low: least score; the range is 0.1 wide.
        count: of the detections.
        score: their mean; None without any.
        right: share of them that are persons; None without any.

    """

    low: float
    count: int
    score: float | None
    right: float | None


def reliability(judged: Judged) -> list[Bin]:
    """The share of right detections by score, in ten ranges from 0 to 1."""
    places = np.minimum((judged.scores * _BINS).astype(int), _BINS - 1)
    bins = []
    for place in range(_BINS):
        of_bin = places == place
        count = int(of_bin.sum())
        score, right = (
            (float(judged.scores[of_bin].mean()), float(judged.right[of_bin].mean())) if count else (None, None)
        )
        bins.append(Bin(place / _BINS, count, score, right))
    return bins


def calibration_error(bins: list[Bin]) -> float | None:
    """Mean distance of score and share of right detections (ECE; Guo et al. 2017); None without detections.

    The lowest range is left out: it has most of the detections, and nobody uses them.
    """
    used = [each for each in bins[1:] if each.score is not None and each.right is not None]
    if not used:
        return None
    distances = [abs((each.score or 0.0) - (each.right or 0.0)) for each in used]
    return float(np.average(distances, weights=[each.count for each in used]))


def fit(judged: Judged) -> ScoreLine:
    """The line of most likelihood for the detections from score 0.05 up (Platt 1999, with his smoothed targets).

    Raises:
        DetectorError: all are right, all are wrong, or right ones do not have the higher scores.

    """
    used = judged.scores >= 0.05
    right, along = judged.right[used], logits(judged.scores[used])
    persons, others = int(right.sum()), int((~right).sum())
    if not persons or not others:
        raise DetectorError(f"{persons} right and {others} wrong detections: calibration needs both")
    targets = np.where(right, (persons + 1) / (persons + 2), 1 / (others + 2))

    def unlikely(line: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        value = line[0] * along + line[1]
        loss = np.logaddexp(0, value) - targets * value
        gradient = expit(value) - targets
        return float(loss.mean()), np.array([(gradient * along).mean(), gradient.mean()])

    slope, offset = minimize(unlikely, np.array([1.0, 0.0]), jac=True, method="BFGS").x
    if slope <= 0:
        raise DetectorError("wrong detections have higher scores than right ones: no calibration mends that")
    return ScoreLine(slope=float(slope), offset=float(offset))


def calibrated(state: "Mapping[str, Tensor]", line: ScoreLine) -> "dict[str, Tensor]":
    """The tensors of a network of two classes, background and person, with the scores of `line`.

    Raises:
        DetectorError: it has other classes.

    """
    result = dict(state)
    weight, bias = (state.get(f"{_LAYER}{part}") for part in ("weight", "bias"))
    if bias is None or weight is None or len(bias) != 2:
        raise DetectorError("only detectors with the classes background and person can be calibrated")
    shifted = bias * line.slope
    shifted[1] += line.offset
    return result | {f"{_LAYER}weight": weight * line.slope, f"{_LAYER}bias": shifted}
