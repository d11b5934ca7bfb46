"""A metric estimated from the labels: what differs between the tracklets of one person counts for less.

Within-class covariance normalisation (Hatch, Kajarekar and Stolcke, "Within-class covariance normalization for
SVM-based speaker recognition", 2006) on the principal components: light, a pose or a camera's colours change
the descriptors of all persons in similar directions.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_COMPONENTS = 128
_PRIOR = 30.0  # number of labels that weigh as much as the assumption that all directions are alike


class PrincipalComponents:
    """The directions in which `vectors` (n, d) differ most: at most 128."""

    def __init__(self, vectors: NDArray[np.float32]) -> None:
        self._mean = vectors.mean(axis=0)
        centred = vectors - self._mean
        _, directions = np.linalg.eigh(centred.T @ centred)
        self._basis = directions[:, ::-1][:, :_COMPONENTS].astype(np.float32)
        self.variance = float(np.square(centred @ self._basis).mean())

    def of(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """`vectors` (n, d) in these directions, about their mean: float32 (n, k)."""
        return np.asarray((vectors - self._mean) @ self._basis, np.float32)


def whitening(
    vectors: NDArray[np.float32], persons: Sequence[Sequence[int]], variance: float
) -> NDArray[np.float32]:
    """The matrix (k, k) after which one person's `vectors` (n, k) differ alike in all directions.

    Args:
        vectors: one a row.
        persons: the rows of each person; a single row is not used.
        variance: what is assumed of each direction before there are labels.

    """
    several = [rows for rows in persons if len(rows) > 1]
    within = np.eye(vectors.shape[1], dtype=np.float64) * variance * _PRIOR
    for rows in several:
        deviations = vectors[rows] - vectors[rows].mean(axis=0)
        within += deviations.T @ deviations
    within /= _PRIOR + sum(len(rows) - 1 for rows in several)
    variances, directions = np.linalg.eigh(within)
    return np.asarray(directions / np.sqrt(variances), np.float32)
