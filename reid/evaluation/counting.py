"""Ranks by counting: the rank of a right answer is one more than the number of crops before it.

Counts of parts of the gallery add up, so that a part at a time is compared, and no row of distances is sorted as a
whole. Parts are compared by distances that are rounded, with a bound of their error: where it leaves open which of
two crops is nearer, and only there, exact distances decide. So no rounding can change a rank.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reid.evaluation.protocols import Pairs

# The exact distances, float64 (n,), of pairs of a query and a gallery crop, int64 (n,) each.
Exact = Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.float64]]


class RightAnswers:
    """The right answers of some queries in the order of their ranks, with their distances.

    Args:
        positives: the right answers; rows count from the first of the queries.
        distances: their exact distances, float64 (n,).
        queries: number of queries.

    Attributes:
        rows, columns, distances: as given, by query, distance and column.
        bounds: int64 (queries + 1,), where the right answers of each query begin, and where the last's end.

    """

    def __init__(self, positives: Pairs, distances: NDArray[np.float64], queries: int) -> None:
        self._order = np.lexsort((positives.columns, distances, positives.rows))
        self.rows, self.columns = positives.rows[self._order], positives.columns[self._order]
        self.distances = distances[self._order]
        self.bounds = np.searchsorted(self.rows, np.arange(queries + 1))

    def ranks(self, before: NDArray[np.int64]) -> NDArray[np.int64]:
        """The rank of each right answer, from 1 and in the order given, of the numbers of crops before them."""
        ranks = np.empty(len(before), np.int64)
        ranks[self._order] = before + 1
        return ranks


class Counting:
    """The number of gallery crops before each right answer, counted a part of the gallery at a time.

    Args:
        answers: the right answers.
        exact: gives exact distances.

    Attributes:
        before: int64 (n,), the crops counted so far that rank before each of `answers`.

    """

    def __init__(self, answers: RightAnswers, exact: Exact) -> None:
        self._answers, self._exact = answers, exact
        self.before = np.zeros(len(answers.rows), np.int64)

    def add(self, start: int, values: NDArray[np.float32], errors: NDArray[np.float64]) -> None:
        """Count a part of the gallery.

        Args:
            start: the first crop of the part.
            values: float32 (queries, crops of the part), distances; infinite where a crop takes no part.
            errors: float64 (queries,), the most by which a query's `values`, and the float32 nearest to an exact
                distance plus or minus this number, are wrong. 0: `values` are exact.

        """

        def compare(first: int, last: int) -> list[_Unclear]:
            return [
                each for row in range(first, last) for each in self._compare(row, start, values[row], errors[row])
            ]

        workers = os.cpu_count() or 1
        cuts = np.linspace(0, len(values), workers + 1).astype(int)
        with ThreadPoolExecutor(workers, "rank") as threads:
            unclear = [each for found in threads.map(compare, cuts[:-1], cuts[1:]) for each in found]
        if unclear:
            self._decide(unclear, errors)

    def _compare(self, row: int, start: int, values: NDArray[np.float32], error: float) -> Iterator["_Unclear"]:
        """Count what is clearly before the right answers of a query; gives the rest."""
        first = int(self._answers.bounds[row])
        mine = slice(first, int(self._answers.bounds[row + 1]))
        wanted, columns = self._answers.distances[mine], self._answers.columns[mine]
        if not len(wanted):
            return
        low, high = (wanted - error).astype(np.float32), (wanted + error).astype(np.float32)
        # Most crops are farther than the farthest right answer: the sort is of the few others.
        places = np.flatnonzero(values <= high[-1])
        near = values[places]
        ordered = np.sort(near)
        below, upto = np.searchsorted(ordered, low), np.searchsorted(ordered, high, "right")
        # Right answers whose bounds overlap are a group: what is below its first is before all of it.
        begins = np.flatnonzero(np.concatenate([[True], low[1:] > high[:-1]]))
        ends = np.append(begins[1:], len(wanted))
        here = (start <= columns) & (columns < start + len(values))
        own = np.concatenate([[0], np.cumsum(here)])
        # Between a group's bounds, if no more, are those of its right answers that are in this part.
        alone = upto[ends - 1] - below[begins] == own[ends] - own[begins]
        group = np.repeat(np.arange(len(begins)), ends - begins)
        self.before[mine] += below[begins][group] + np.where(alone[group], own[:-1] - own[begins][group], 0)
        for begin, end in zip(begins[~alone], ends[~alone], strict=True):
            between = np.flatnonzero((low[begin] <= near) & (near <= high[end - 1]))
            yield _Unclear(slice(first + begin, first + end), row, start + places[between], near[between])

    def _decide(self, groups: Sequence["_Unclear"], errors: NDArray[np.float64]) -> None:
        """Count the crops between the bounds of groups of right answers by their exact distances."""
        sizes = [len(group.columns) for group in groups]
        columns = np.concatenate([group.columns for group in groups])
        rows = np.repeat([group.row for group in groups], sizes)
        distances = np.concatenate([group.values for group in groups]).astype(np.float64)
        rounded = errors[rows] > 0
        distances[rounded] = self._exact(rows[rounded], columns[rounded])
        answers = np.concatenate([np.arange(group.answers.start, group.answers.stop) for group in groups])
        wanted = [group.answers.stop - group.answers.start for group in groups]
        numbers = np.concatenate([np.repeat(np.arange(len(groups)), each) for each in (wanted, sizes)])
        is_crop = np.repeat([False, True], [len(answers), len(columns)])
        # By group, distance and column; the right answer, which is among the crops too, comes before itself.
        distances = np.concatenate([self._answers.distances[answers], distances])
        order = np.lexsort((is_crop, np.concatenate([self._answers.columns[answers], columns]), distances, numbers))
        before = np.empty(len(order), np.int64)
        before[order] = np.cumsum(is_crop[order])
        of_groups_before = np.cumsum(sizes) - sizes
        self.before[answers] += before[: len(answers)] - np.repeat(of_groups_before, wanted)


@dataclass(frozen=True, eq=False)
class _Unclear:
    """Crops of which rounded distances do not tell which of a query's right answers they precede.

    Attributes:
        answers: the right answers, one after the other.
        row: the query.
        columns: int64 (n,), the crops; all others are before all of `answers`, or after.
        values: their distances, rounded.

    """

    answers: slice
    row: int
    columns: NDArray[np.int64]
    values: NDArray[np.float32]
