"""A metric in which what differs between pictures of one person counts for less.

Within-class covariance normalisation (Hatch, Kajarekar and Stolcke, "Within-class covariance normalization for
SVM-based speaker recognition", 2006) on the principal components: light, a pose or a camera's colours change the
descriptors of all persons in similar directions. Before there are labels, the pictures of each tracklet show which
these are; the tracklets of one identity show it better, and count for more the more of them there are.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

_COMPONENTS = 128
_PRIOR = 30.0  # number of labels that weigh as much as what the tracklets show
_RIDGE = 0.3  # of the mean variance, added to that of each direction: tracklets are few, and short
_SHRINK = 3.0  # tracklets of a flight that weigh as much as the mean of all flights


def group_means(vectors: NDArray[np.float32], groups: NDArray[np.intp]) -> NDArray[np.float32]:
    """The mean of each vector's group, float32 (n, d); that of a small group is drawn towards the mean of all.

    Args:
        vectors: float32 (n, d), one a row.
        groups: intp (n,), the group of each, from 0.

    """
    counts = np.bincount(groups)
    sums = np.zeros((len(counts), vectors.shape[1]))
    np.add.at(sums, groups, vectors)
    means = (sums + _SHRINK * vectors.mean(axis=0)) / (counts + _SHRINK)[:, None]
    return np.asarray(means[groups], np.float32)


def within(groups: Iterable[NDArray[np.float32]]) -> NDArray[np.float64]:
    """The covariance within groups of vectors (m, d), each about its mean: float64 (d, d); (1, 1) without any."""
    scatter, freedom = np.zeros((1, 1)), 0
    for vectors in groups:
        if len(vectors) > 1:
            deviations = (vectors - vectors.mean(axis=0)).astype(np.float64)
            scatter = scatter + deviations.T @ deviations
            freedom += len(vectors) - 1
    return scatter / max(freedom, 1)


class PrincipalComponents:
    """The directions in which `vectors` (n, d) differ most: at most 128."""

    def __init__(self, vectors: NDArray[np.float32]) -> None:
        self._mean = vectors.mean(axis=0)
        centred = vectors - self._mean
        _, directions = np.linalg.eigh(centred.T @ centred)
        self._basis = directions[:, ::-1][:, :_COMPONENTS].astype(np.float32)
        self._variance = float(np.square(centred @ self._basis).mean())

    def of(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """`vectors` (n, d) in these directions, about their mean: float32 (n, k)."""
        return np.asarray((vectors - self._mean) @ self._basis, np.float32)

    def prior(self, covariance: NDArray[np.float64]) -> NDArray[np.float64]:
        """What is assumed of one person's vectors in these directions before there are labels: float64 (k, k).

        As `covariance` (d, d), drawn towards all directions being alike; in total as the vectors of all persons.
        """
        found = self._basis.T @ covariance @ self._basis if len(covariance) > 1 else np.eye(self._basis.shape[1])
        size = len(found)
        found = found + _RIDGE * max(np.trace(found) / size, 1e-12) * np.eye(size)
        return np.asarray(found * (self._variance * size / np.trace(found)), np.float64)


def whitening(
    vectors: NDArray[np.float32], persons: Sequence[Sequence[int]], prior: NDArray[np.float64]
) -> NDArray[np.float32]:
    """The matrix (k, k) after which one person's `vectors` (n, k) differ alike in all directions.

    Args:
        vectors: one a row.
        persons: the rows of each person; a single row is not used.
        prior: the covariance that is assumed before there are labels, (k, k).

    """
    several = [rows for rows in persons if len(rows) > 1]
    scatter = _PRIOR * prior
    for rows in several:
        deviations = vectors[rows] - vectors[rows].mean(axis=0)
        scatter = scatter + deviations.T @ deviations
    variances, directions = np.linalg.eigh(scatter / (_PRIOR + sum(len(rows) - 1 for rows in several)))
    return np.asarray(directions / np.sqrt(variances), np.float32)
