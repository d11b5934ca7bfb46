"""Distances between queries and gallery crops, a part at a time, and the ranks of the right answers.

The matrix of all queries by all gallery crops is never made. `Distances` computes with NumPy;
`reid.evaluation.torch_distances` on a GPU.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid.errors import ReidError
from reid.evaluation.counting import Counting, RightAnswers
from reid.evaluation.protocols import Rivals
from reid.metric import Metric

Nearest = tuple[NDArray[np.int64], NDArray[np.float32]]
_BLOCK_BYTES = 2**25  # of distances, or features, in one block
_CACHED_BYTES = 2**18  # of features whose numbers are computed at once, in a core's cache
_QUERIES = 512  # compared at a time: a product with fewer rows takes longer for each, with 256 a tenth
_PART_BYTES = 2**26  # of their distances to a part of the gallery
# |q|² + |g|² - 2 q·g rounds to a ten-millionth of |q|² + |g|². Squared distances below this share of it have lost
# digits, and are computed again from the difference q - g.
NEAR = 2.0**-6
# Products are summed over this many numbers at a time. Whatever the order in which a library adds n products, its
# error is below n roundings of |q| |g| (Higham 2002, Accuracy and Stability of Numerical Algorithms, 3.1).
SLICE = 512
_ROUNDING = 2.0**-24  # of float32
_UNDERFLOW = 1e-33  # more than is lost where numbers are too small for float32
_COMMON = 0.9  # share of the features' squared length that all have in common, from which it is taken away
_SAMPLE = 1000  # features by which that is judged


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

    @abstractmethod
    def rows(self, first: int, last: int) -> NDArray[np.float32]:
        """Distances float32 (last - first, gallery) of these queries; the caller may overwrite them."""

    def of_pairs(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.float32]:
        """Distances float32 (n,) of pairs of a query and a gallery crop, as in `rows`; queries ascend."""
        queries, starts = np.unique(rows, return_index=True)
        parts = np.split(columns, starts[1:])
        found = [self.rows(row, row + 1)[0, part] for row, part in zip(queries, parts, strict=False)]
        return np.concatenate([np.zeros(0, np.float32), *found])

    def ranks(self, first: int, last: int, rivals: Rivals) -> NDArray[np.int64]:
        """The rank of each of `rivals.positives`, from 1; of equally distant crops, earlier ones come first."""
        rows = self.rows(first, last)
        wanted = remove_absent(rows, rivals)
        answers = RightAnswers(rivals.positives, wanted.astype(np.float64), len(rows))
        counting = Counting(answers, lambda own, columns: rows[own, columns].astype(np.float64))
        counting.add(0, rows, np.zeros(len(rows)))
        return answers.ranks(counting.before)

    def nearest(self, first: int, last: int, count: int, rivals: Rivals) -> Iterator[Nearest]:
        """The places of the `count` nearest crops that take part, and their `unit`s, nearest first, of each query.

        Of equally distant crops, earlier ones come first, as in the ranking.
        """
        rows = self.rows(first, last)
        remove_absent(rows, rivals)
        for values in rows:
            places = np.flatnonzero(values <= _smallest(values, count))
            order = places[np.argsort(values[places], kind="stable")][:count]
            yield order, self.unit(values[order])


def _smallest(values: NDArray[np.float32], count: int) -> np.float32:
    """The `count`th smallest of `values`, float32 (m,), or the largest finite number if that is smaller."""
    least = np.partition(values, count - 1)[count - 1] if count < len(values) else np.inf
    return np.float32(min(least, np.finfo(np.float32).max))


def remove_absent(rows: NDArray[np.float32], rivals: Rivals) -> NDArray[np.float32]:
    """Set `rows` to infinity where a crop takes no part; returns the positives' distances, float32 (n,)."""
    positives = rivals.positives
    wanted = rows[positives.rows, positives.columns]
    rows[:, rivals.absent] = np.inf
    rows[rivals.excluded.rows, rivals.excluded.columns] = np.inf
    rows[positives.rows, positives.columns] = wanted
    return wanted


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
        self._features = query, gallery
        own, others = (_squares(each, name, metric) for each, name in zip(self._features, names, strict=True))
        self._lengths = np.sqrt(own), np.sqrt(others)
        self._origin = _origin(gallery) if metric == "euclidean" else None
        self._squares = own, others
        if metric == "cosine":
            self._squares = np.ones(len(own)), np.ones(len(others))
        elif self._origin is not None:
            self._squares = self._squared_points(0), self._squared_points(1)

    @property
    def block(self) -> int:
        """The number of queries that are ranked at a time."""
        return _QUERIES

    def exact(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.float64]:
        """The squared distances, float64 (n,), of pairs of a query and a gallery crop; the same in any company."""
        (query, gallery), (own, others) = self._features, self._lengths
        result = np.empty(len(rows))
        step = max(1, _CACHED_BYTES // (4 * max(1, query.shape[1])))
        for start in range(0, len(rows), step):
            pairs = slice(start, start + step)
            left, right = query[rows[pairs]], gallery[columns[pairs]]
            if self.metric == "cosine":
                differences = left / own[rows[pairs], None] - right / others[columns[pairs], None]
            else:
                differences = np.subtract(left, right, dtype=np.float64)
            differences *= differences
            result[pairs] = folded(differences)
        return result

    def of_pairs(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.float32]:
        """As `Distances.of_pairs`, by exact distances."""
        return self.exact(rows, columns).astype(np.float32)

    def rows(self, first: int, last: int) -> NDArray[np.float32]:
        """Squared distances |q - g|²; with `cosine`, of the features divided by their lengths."""
        result = np.empty((last - first, self.shape[1]), np.float32)
        for start, stop in self._parts(len(result)):
            part = result[:, start:stop]
            part[:] = self._values(first, last, start, stop)
            squares, others = self._squares[0][first:last], self._squares[1][start:stop]
            # First by one bound for a whole row: a matrix of bounds would take as long as the distances.
            near, columns = np.nonzero(part < (NEAR * (squares + others.max())).astype(np.float32)[:, None])
            lost = part[near, columns] < NEAR * (squares[near] + others[columns])
            near, columns = near[lost], columns[lost]
            part[near, columns] = self.exact(first + near, start + columns)
        return result

    def ranks(self, first: int, last: int, rivals: Rivals) -> NDArray[np.int64]:
        """As `Distances.ranks`, by exact distances."""
        answers = self._answers(first, last, rivals)
        counting = Counting(answers, lambda rows, columns: self.exact(first + rows, columns))
        for start, stop in self._parts(last - first):
            values = self._values(first, last, start, stop)
            remove_absent(values, rivals.part(start, stop))
            counting.add(start, values, self._errors(first, last, start, stop))
        return answers.ranks(counting.before)

    def nearest(self, first: int, last: int, count: int, rivals: Rivals) -> Iterator[Nearest]:
        """As `Distances.nearest`, by exact distances."""
        found: list[list[NDArray[np.int64]]] = [[] for _ in range(first, last)]
        # By rounded distances the nearest are among those not farther than the last of them, and twice the error.
        for start, stop in self._parts(last - first):
            values = self._values(first, last, start, stop)
            remove_absent(values, rivals.part(start, stop))
            errors = self._errors(first, last, start, stop)
            for row, error in enumerate(errors):
                limit = np.float32(_smallest(values[row], count) + 2 * error)
                found[row].append(start + np.flatnonzero((values[row] <= limit) & (values[row] < np.inf)))
        for row, parts in enumerate(found, first):
            columns = np.concatenate([np.zeros(0, np.int64), *parts])
            distances = self._of_query(row, columns)
            order = np.argsort(distances, kind="stable")[:count]
            yield columns[order], self.unit(distances[order].astype(np.float32))

    def unit(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Euclidean distances, no longer squared; or one minus the cosine."""
        return values / np.float32(2) if self.metric == "cosine" else np.sqrt(np.maximum(values, 0))

    def _answers(self, first: int, last: int, rivals: Rivals) -> RightAnswers:
        positives = rivals.positives
        return RightAnswers(positives, self.exact(first + positives.rows, positives.columns), last - first)

    def _of_query(self, query: int, columns: NDArray[np.int64]) -> NDArray[np.float64]:
        return self.exact(np.full(len(columns), query), columns)

    def _parts(self, queries: int) -> Iterator[tuple[int, int]]:
        """Parts of the gallery, first crop and end, to which the distances of `queries` are computed at once."""
        step = max(1, _PART_BYTES // (4 * max(1, queries)))
        for start in range(0, self.shape[1], step):
            yield start, min(start + step, self.shape[1])

    def _values(self, first: int, last: int, start: int, stop: int) -> NDArray[np.float32]:
        """|q|² + |g|² - 2 q·g, float32 (queries, crops), within `_errors` of the squared distances."""
        query = -2 * self._points(0, first, last)
        own = self._squares[0][first:last, None].astype(np.float32)
        values = np.empty((last - first, stop - start), np.float32)
        # Kept for all spans: new memory costs as much as a sum.
        sums, products = (np.empty((last - first, self._span(1)), np.float32) for _ in range(2))
        for begin, end, gallery in self._spans(1, start, stop):
            total, more = sums[:, : end - begin], products[:, : end - begin]
            np.matmul(query[:, :SLICE], gallery[:, :SLICE].T, out=total)
            for number in range(SLICE, query.shape[1], SLICE):
                numbers = slice(number, number + SLICE)
                total += np.matmul(query[:, numbers], gallery[:, numbers].T, out=more)
            total += self._squares[1][begin:end].astype(np.float32)
            np.add(total, own, out=values[:, begin - start : end - start])
        return values

    def _errors(self, first: int, last: int, start: int, stop: int) -> NDArray[np.float64]:
        """The most by which each query's `_values`, and float32 bounds of them, are wrong: float64 (queries,).

        In roundings of |q|² + |g|²: of the product's sums; 4 of adding the squares; 16 of the points; the others
        are of float32 bounds.
        """
        dimension = self._features[0].shape[1]
        roundings = min(SLICE, dimension) + dimension // SLICE + 32
        total = self._squares[0][first:last] + self._squares[1][start:stop].max(initial=0)
        return np.where(total > 0, roundings * _ROUNDING * total + _UNDERFLOW, 0)

    def _points(self, side: int, start: int, stop: int) -> NDArray[np.float32]:
        """Features of the query (0) or the gallery (1), from their origin or divided by their lengths."""
        features = self._features[side][start:stop]
        if self.metric == "cosine":
            features = np.divide(features, self._lengths[side][start:stop, None], dtype=np.float32)
        return features if self._origin is None else features - self._origin

    def _squared_points(self, side: int) -> NDArray[np.float64]:
        parts = [_squares_of(points) for *_, points in self._spans(side, 0, self.shape[side])]
        return np.concatenate([np.zeros(0), *parts])

    def _spans(self, side: int, start: int, stop: int) -> Iterator[tuple[int, int, NDArray[np.float32]]]:
        """`_points` from `start` to `stop`, a few at a time, each with its first and its end."""
        step = self._span(side)
        for begin in range(start, stop, step):
            end = min(begin + step, stop)
            yield begin, end, self._points(side, begin, end)

    def _span(self, side: int) -> int:
        fitting = _BLOCK_BYTES // (4 * max(_QUERIES, self._features[side].shape[1]))
        return max(1, min(fitting, self.shape[side]))


def folded(values: Any) -> Any:
    """The sums of the rows of `values`, (n, d), an array or a torch tensor that is overwritten.

    The order is fixed, unlike that of a library's sums: of equal rows they are equal, in every shape and on every
    device.
    """
    width = values.shape[1]
    while width > 1:
        half = (width + 1) // 2
        values[:, : width - half] += values[:, half:width]
        width = half
    return values[:, 0] if width else values.sum(1)  # of no numbers: 0


def _origin(features: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """A central one of `features` (n, d), if they differ by little compared with their length; else None.

    Distances do not depend on the origin, their rounding does. A feature itself, not the mean, is taken: what is
    near to it, or a whole number, is subtracted exactly.
    """
    sample = features[:: 1 + len(features) // _SAMPLE].astype(np.float64)
    if not len(sample):
        return None
    mean = sample.mean(axis=0)
    if (mean**2).sum() < _COMMON * (sample**2).sum(axis=1).mean():
        return None
    return np.asarray(sample[((sample - mean) ** 2).sum(axis=1).argmin()], np.float32)


def by_block(features: NDArray[Any], number: Callable[[NDArray[Any]], NDArray[Any]]) -> NDArray[Any]:
    """`number` of each block of rows, so that its intermediate results stay small."""
    step = max(1, _CACHED_BYTES // (4 * max(1, features.shape[1])))
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


def _squares(features: NDArray[np.float32], name: str, metric: Metric) -> NDArray[np.float64]:
    """The squared lengths of checked features."""
    with np.errstate(over="ignore"):
        squares = _squares_of(features)
        _require_finite(squares.astype(np.float32), name)  # squares of such features are not finite either
    if metric == "cosine" and len(zero := np.flatnonzero(squares == 0)):
        raise ReidError(f"{name} row {zero[0]}: all zeros, which have no cosine; take metric euclidean")
    return squares


def _squares_of(features: NDArray[np.float32]) -> NDArray[np.float64]:
    squares: NDArray[np.float64] = by_block(features, _squares_in_block)
    return squares


def _squares_in_block(features: NDArray[np.float32]) -> NDArray[np.float64]:
    wide = features.astype(np.float64)
    squares: NDArray[np.float64] = np.einsum("nd,nd->n", wide, wide)
    return squares
