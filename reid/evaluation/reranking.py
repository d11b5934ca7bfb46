"""k-reciprocal re-ranking: crops with mutual neighbours get closer (Zhong et al. 2017).

"Re-ranking Person Re-identification with k-reciprocal Encoding", CVPR 2017. It uses all queries and gallery
crops at once, so its figures are not those of a search for one person; the paper does not use it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array, csr_array

from reid.errors import ReidError
from reid.evaluation.distances import Distances, FeatureDistances
from reid.metric import Metric

_ROWS, _BYTES = 256, 2**29  # of the distances between all crops, at once


@dataclass(frozen=True)
class Reranking:
    """Settings of the re-ranking; the defaults are its authors'.

    Attributes:
        k1: number of neighbours that are checked for being mutual.
        k2: number of neighbours whose encodings are averaged (local query expansion).
        weight: λ, the share of the original distance in the final one.

    """

    k1: int = 20
    k2: int = 6
    weight: float = 0.3

    def __post_init__(self) -> None:
        if not (self.k1 >= 1 and self.k2 >= 1 and 0 <= self.weight <= 1):
            raise ReidError(f"re-ranking: expected k1 and k2 from 1 up and a weight from 0 to 1, not {self}")


class RerankedDistances(Distances):
    """Jaccard distances of k-reciprocal neighbourhoods, mixed with the original ones.

    The distances between all crops are computed block by block, twice; only neighbours are kept.

    Args:
        query: float32 (n, d).
        gallery: float32 (m, d).
        metric: of the original distances.
        settings: of the re-ranking.
        absent: int64, gallery crops that take no part, such as junk; their distance is infinite.
        names: of the two, for errors.

    Raises:
        ReidError: as `FeatureDistances`.

    """

    def __init__(
        self,
        query: NDArray[np.float32],
        gallery: NDArray[np.float32],
        metric: Metric,
        settings: Reranking,
        absent: NDArray[np.int64],
        names: tuple[str, str] = ("query", "gallery"),
    ) -> None:
        super().__init__((len(query), len(gallery)))
        FeatureDistances(query, gallery, metric, names)  # its errors name the rows by their own numbers
        self._present = np.setdiff1d(np.arange(len(gallery)), absent)
        crops = np.concatenate([query, gallery[self._present]])
        self._original = FeatureDistances(crops, crops, metric)
        self._weight = settings.weight
        neighbours, self._largest = _neighbours(self._original, max(settings.k1, settings.k2))
        members = _neighbourhoods(neighbours, settings.k1)
        encoding = self._encoded(members)
        expansion = _links(neighbours[:, : settings.k2])
        self._encoding: csr_array = (expansion @ encoding) / min(settings.k2, neighbours.shape[1])
        self._by_member = csc_array(self._encoding)

    def rows(self, first: int, last: int) -> NDArray[np.float32]:
        """(1 - λ) Jaccard + λ original, the latter over the largest of its row (Zhong et al., eq. 12)."""
        mixed = np.full((last - first, self.shape[1]), np.inf, np.float32)
        original = self._scaled(first, last)[:, self.shape[0] :]
        for row in range(first, last):
            jaccard = self._jaccard(row)[self.shape[0] :]
            mixed[row - first, self._present] = (1 - self._weight) * jaccard + self._weight * original[row - first]
        return mixed

    def _scaled(self, first: int, last: int) -> NDArray[np.float32]:
        return self._original.rows(first, last) / self._largest[first:last, None]

    def _encoded(self, members: csr_array) -> csr_array:
        """The members' weights exp(-distance), which sum to 1 (eq. 7)."""
        weights = np.empty(members.nnz, np.float32)
        for first, last in _blocks(members.shape[0]):
            rows = np.repeat(np.arange(last - first), np.diff(members.indptr[first : last + 1]))
            own = slice(members.indptr[first], members.indptr[last])
            near = np.exp(-self._scaled(first, last)[rows, members.indices[own]])
            weights[own] = near / np.bincount(rows, near)[rows]
        return csr_array((weights, members.indices, members.indptr), shape=members.shape)

    def _jaccard(self, row: int) -> NDArray[np.float64]:
        """One minus shared over joint weight with all crops (eq. 10); each encoding's weights sum to 1."""
        encoding, by_member = self._encoding, self._by_member
        own = slice(encoding.indptr[row], encoding.indptr[row + 1])
        spans = [slice(by_member.indptr[m], by_member.indptr[m + 1]) for m in encoding.indices[own]]
        others = np.concatenate([by_member.indices[span] for span in spans])
        least = [np.minimum(w, by_member.data[span]) for w, span in zip(encoding.data[own], spans, strict=True)]
        shared = np.bincount(others, np.concatenate(least), encoding.shape[0])
        return 1 - shared / (2 - shared)


def _blocks(total: int) -> Iterator[tuple[int, int]]:
    """Blocks of crops whose distances to all `total` are computed at once: the first, and the end."""
    step = max(1, min(_ROWS, _BYTES // (4 * total)))
    for first in range(0, total, step):
        yield first, min(first + step, total)


def _neighbours(distances: FeatureDistances, count: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The `count` nearest of each crop, itself first, int64 (n, count + 1), and the distance to the farthest."""
    total = distances.shape[0]
    count = min(count + 1, total)
    nearest, largest = np.empty((total, count), np.int64), np.empty(total, np.float32)
    for first, last in _blocks(total):
        rows = distances.rows(first, last)
        here = slice(first, first + len(rows))
        largest[here] = np.maximum(rows.max(axis=1), np.finfo(np.float32).tiny)
        rows[np.arange(len(rows)), np.arange(first, first + len(rows))] = -np.inf
        found = np.sort(np.argpartition(rows, count - 1, axis=1)[:, :count], axis=1)
        order = np.argsort(np.take_along_axis(rows, found, axis=1), axis=1, kind="stable")
        nearest[here] = np.take_along_axis(found, order, axis=1)
    return nearest, largest


def _neighbourhoods(neighbours: NDArray[np.int64], k1: int) -> csr_array:
    """Each crop's k-reciprocal neighbours, and those of a neighbour if two thirds of them are shared (eq. 5)."""
    mutual, half = (_mutual(neighbours[:, : count + 1]) for count in (k1, round(k1 / 2)))
    shared = csr_array((mutual @ half.T) * mutual)
    sizes = np.diff(half.indptr)
    shared.data = (3 * shared.data > 2 * sizes[shared.indices]).astype(np.int32)
    members = csr_array(mutual + shared @ half)
    members.eliminate_zeros()
    members.sort_indices()
    return members


def _mutual(neighbours: NDArray[np.int64]) -> csr_array:
    """1 where two crops are among each other's neighbours."""
    links = _links(neighbours)
    return csr_array(links * links.T)


def _links(neighbours: NDArray[np.int64]) -> csr_array:
    """1 from each crop to each of its neighbours."""
    total, count = neighbours.shape
    indptr = np.arange(0, total * count + 1, count)
    return csr_array((np.ones(total * count, np.int32), neighbours.ravel(), indptr), shape=(total, total))
