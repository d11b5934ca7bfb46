"""Search: the nearest gallery rows of a query."""

import numpy as np
from numpy.typing import NDArray

from reid.evaluation.distances import FeatureDistances
from reid.evaluation.protocols import Pairs, Rivals
from reid.metric import Metric


def nearest(
    query: NDArray[np.float32],
    gallery: NDArray[np.float32],
    count: int,
    names: tuple[str, str] = ("query", "gallery"),
    metric: Metric = "euclidean",
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The `count` rows of `gallery` (n, d) nearest to `query` (1, d), and their distances, nearest first.

    Raises:
        ReidError: features of different lengths, or one that is not finite; uses `names`.

    """
    none = np.zeros(0, np.int64)
    everybody = Rivals(Pairs(none, none), Pairs(none, none), none)
    return next(FeatureDistances(query, gallery, metric, names).nearest(0, 1, count, everybody))
