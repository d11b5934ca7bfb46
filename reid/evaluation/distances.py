"""Distances between queries and gallery crops, a block of queries at a time, and the ranks of the right answers.

The matrix of all queries by all gallery crops is never made. `Distances` ranks with NumPy, whose sort uses a CPU's
vector units (torch's takes about thirty times as long); `reid.evaluation.torch_distances` ranks on a GPU.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from reid.errors import ReidError
from reid.evaluation.protocols import Rivals

Metric = Literal["euclidean", "cosine"]
_BLOCK_BYTES = 2**25  # of distances, or features, in one block
# A product with fewer rows takes up to twice the time for each; a very large gallery gets fewer.
_PRODUCT_ROWS, _PRODUCT_BYTES = 256, 2**29


class Distances(ABC):
    """Distances between queries and gallery crops.

    Attributes:
        shape: number of queries, number of gallery crops.

    """

    def __init__(self, shape: tuple[int, int]) -> None:
        self.shape = shape

    @property
    def block(self) -> int:
        """The number of queries that are ranked at a time."""
        return max(1, _BLOCK_BYTES // (4 * max(1, self.shape[1])))

    def unit(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Values of `rows` in the unit that is shown; the order is the same."""
        return values

    def least(self, values: NDArray[np.float32], count: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Places and `unit`s of the `count` least finite ones of a row's `values`, float32 (m,), least first.

        Of equal values the earlier one comes first, as in the ranking.
        """
        near = values <= np.partition(values, count - 1)[count - 1] if count < len(values) else values < np.inf
        places = np.flatnonzero(near & np.isfinite(values))
        order = places[np.argsort(values[places], kind="stable")][:count]
        return order, self.unit(values[order])

    @abstractmethod
    def rows(self, first: int, last: int) -> NDArray[np.float32]:
        """Distances float32 (last - first, gallery) of these queries; the caller may overwrite them."""

    def ranks(self, first: int, last: int, rivals: Rivals) -> NDArray[np.int64]:
        """The rank of each of `rivals.positives`, from 1; of equally distant crops, earlier ones come first."""
        rows = self.rows(first, last)
        wanted = remove_absent(rows, rivals)
        return _ranks(rows, wanted, rivals)


def remove_absent(rows: NDArray[np.float32], rivals: Rivals) -> NDArray[np.float32]:
    """Set `rows` to infinity where a crop takes no part; returns the positives' distances, float32 (n,)."""
    positives = rivals.positives
    wanted = rows[positives.rows, positives.columns]
    rows[:, rivals.absent] = np.inf
    rows[rivals.excluded.rows, rivals.excluded.columns] = np.inf
    rows[positives.rows, positives.columns] = wanted
    return wanted


def _ranks(rows: NDArray[np.float32], wanted: NDArray[np.float32], rivals: Rivals) -> NDArray[np.int64]:
    ranks = np.empty(len(wanted), np.int64)
    bounds = np.searchsorted(rivals.positives.rows, np.arange(len(rows) + 1))

    def rank(first: int, last: int) -> None:
        for row in range(first, last):
            mine = slice(bounds[row], bounds[row + 1])
            ranks[mine] = _ranks_in_row(rows[row], wanted[mine], rivals.positives.columns[mine])

    workers = os.cpu_count() or 1
    cuts = np.linspace(0, len(rows), workers + 1).astype(int)
    with ThreadPoolExecutor(workers, "rank") as threads:
        list(threads.map(rank, cuts[:-1], cuts[1:]))
    return ranks


def _ranks_in_row(
    row: NDArray[np.float32], wanted: NDArray[np.float32], columns: NDArray[np.int64]
) -> NDArray[np.int64]:
    ordered = np.sort(row)
    nearer = np.searchsorted(ordered, wanted)
    tied = ordered[np.minimum(nearer + 1, len(ordered) - 1)] == wanted
    tied &= nearer + 1 < len(ordered)
    for number in np.flatnonzero(tied):
        nearer[number] += np.count_nonzero(row[: columns[number]] == wanted[number])
    return nearer + 1


class MatrixDistances(Distances):
    """Distances of a given matrix.

    Args:
        matrix: float32 (queries, gallery).

    Raises:
        ReidError: a distance is not finite.

    """

    def __init__(self, matrix: NDArray[np.float32]) -> None:
        super().__init__((matrix.shape[0], matrix.shape[1]))
        _require_finite(matrix, "distances")
        self._matrix = matrix

    def rows(self, first: int, last: int) -> NDArray[np.float32]:
        """A copy of these rows."""
        return self._matrix[first:last].copy()


class FeatureDistances(Distances):
    """Distances between features.

    Args:
        query: float32 (n, d).
        gallery: float32 (m, d); may be mapped from a file.
        metric: euclidean, squared, or cosine: one minus the cosine of the angle.
        names: of the two, for errors.

    Raises:
        ReidError: a feature is not finite, or zero with `cosine` (names the row); or lengths differ.

    """

    def __init__(
        self,
        query: NDArray[np.float32],
        gallery: NDArray[np.float32],
        metric: Metric = "euclidean",
        names: tuple[str, str] = ("query", "gallery"),
    ) -> None:
        for features, name in zip((query, gallery), names, strict=True):
            if features.ndim != 2 or features.dtype != np.float32:
                raise ReidError(f"{name}: expected float32 (n, d), found {features.dtype} {features.shape}")
        if query.shape[1] != gallery.shape[1]:
            raise ReidError(
                f"features of {query.shape[1]} numbers in {names[0]}, of {gallery.shape[1]} in {names[1]}; "
                "expected those of one network"
            )
        super().__init__((len(query), len(gallery)))
        self.metric = metric
        self._query, self._gallery = query, gallery
        self._squares = _squares(query, names[0], metric), _squares(gallery, names[1], metric)

    @property
    def block(self) -> int:
        """The number of queries that are ranked at a time."""
        return max(super().block, min(_PRODUCT_ROWS, _PRODUCT_BYTES // (4 * max(1, self.shape[1]))))

    def rows(self, first: int, last: int) -> NDArray[np.float32]:
        """|q|² + |g|² - 2 q·g, or 1 - q·g / (|q| |g|)."""
        query, own, others = self._query[first:last], self._squares[0][first:last, None], self._squares[1]
        factor = -1 / np.sqrt(own) if self.metric == "cosine" else np.float32(-2)
        rows: NDArray[np.float32] = np.matmul(factor * query, self._gallery.T)
        if self.metric == "cosine":
            rows /= np.sqrt(others)
            rows += 1
        else:
            rows += others
            rows += own
        return rows

    def unit(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Euclidean distances, no longer squared; cosine distances as they are."""
        return values if self.metric == "cosine" else np.sqrt(np.maximum(values, 0))


def by_block(features: NDArray[Any], number: Callable[[NDArray[Any]], NDArray[Any]]) -> NDArray[Any]:
    """`number` of each block of rows, so that its intermediate results stay small."""
    step = max(1, _BLOCK_BYTES // (4 * max(1, features.shape[1])))
    # One block even where there are no rows, so that the type is known.
    return np.concatenate([number(features[at : at + step]) for at in range(0, max(1, len(features)), step)])


def _require_finite(values: NDArray[np.float32], name: str) -> None:
    """Raise if a row of `values`, or a single value a row, is not finite."""
    rows = values.reshape(len(values), -1)
    bad = np.flatnonzero(~by_block(rows, lambda block: np.isfinite(block).all(axis=1)))
    if len(bad):
        raise ReidError(
            f"{name} row {bad[0]}: not a finite number ({len(bad):,} such rows); its network diverged, or the "
            "file is damaged; embed the crops again"
        )


def _squares(features: NDArray[np.float32], name: str, metric: Metric) -> NDArray[np.float32]:
    squares = by_block(features, lambda block: np.einsum("nd,nd->n", block, block))
    _require_finite(squares, name)  # squares of such features are not finite either
    if metric == "cosine" and len(zero := np.flatnonzero(squares == 0)):
        raise ReidError(f"{name} row {zero[0]}: all zeros, which have no cosine; take metric euclidean")
    return squares
