"""The interval of AP50 by resampling images, with replacement (percentile bootstrap)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from detector.evaluation.curves import RECALLS, Judged

Interval = tuple[float, float]
_DRAWS, _SEED = 1000, 0
_TAILS = (2.5, 97.5)  # percent: 95 % are between


def ap50_interval(each: Sequence[Judged]) -> Interval | None:
    """The 95 % interval of the AP50 of all images, each judged for itself; None with fewer than two with persons.

    Images of one clip are alike: where there are few clips, the interval is too narrow.
    """
    if sum(len(image.person_heights) > 0 for image in each) < 2:
        return None
    resampled = Resampled(each)
    rng = np.random.default_rng(_SEED)
    chances = np.full(len(each), 1 / len(each))
    values = [resampled.ap50(rng.multinomial(len(each), chances)) for _ in range(_DRAWS)]
    low, high = np.nanpercentile(values, _TAILS)
    return float(low), float(high)


class Resampled:
    """The AP50 of images that are drawn any number of times."""

    def __init__(self, each: Sequence[Judged]) -> None:
        scores = np.concatenate([image.scores for image in each])
        order = np.argsort(-scores, kind="stable")
        self._image = np.repeat(np.arange(len(each)), [len(image.scores) for image in each])[order]
        self._right = np.concatenate([image.right for image in each])[order]
        self._persons = np.array([len(image.person_heights) for image in each])

    def ap50(self, times: NDArray[np.int64]) -> float:
        """COCO's AP50 where image i is there `times[i]` times, int64 (n,); NaN without persons."""
        persons = times @ self._persons
        if not persons:
            return np.nan
        weights = times[self._image]
        right = np.cumsum(weights * self._right)
        precision = right / np.maximum(1, np.cumsum(weights))
        best = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0)
        return float(best[np.searchsorted(right / persons, RECALLS)].mean())
