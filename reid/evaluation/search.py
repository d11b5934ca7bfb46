"""Search: the nearest gallery rows of a query."""

import numpy as np
from numpy.typing import NDArray

from reid.evaluation.distances import FeatureDistances


def nearest(
    query: NDArray[np.float32],
    gallery: NDArray[np.float32],
    count: int,
    names: tuple[str, str] = ("query", "gallery"),
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The `count` rows of `gallery` (n, d) nearest to `query` (1, d), and their Euclidean distances, nearest first.

    Raises:
        ReidError: features of different lengths, or one that is not finite; uses `names`.

    """
    distances = FeatureDistances(query, gallery, names=names)
    return distances.least(distances.rows(0, 1)[0], count)
