"""Verification and open-set identification: is it the same person, and is it nobody we know?

Verification takes the pairs that the protocol ranks: a query with a right answer is a genuine pair, with any other
gallery crop that takes part an impostor pair. TPR at FPR f is the share of genuine pairs accepted at the largest
threshold that accepts at most the share f of impostor pairs.

Open-set identification searches each query twice: as it is (a mated search, if it has a right answer), and with all
crops of its person left out of the gallery (a non-mated search). Nothing is drawn. TPIR at FPIR f is the share of
mated searches whose nearest crop is a right one within the largest threshold at which at most the share f of the
non-mated searches finds anybody (Grother et al., NIST FRVT 1:N: one minus FNIR at rank 1 and a threshold).

Distances pass a part at a time. Thresholds are exact: impostor pairs are counted between the sorted distances of
the genuine pairs, so that memory grows with the number of genuine pairs and not with that of all pairs.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reid.evaluation.distances import remove_absent
from reid.evaluation.evaluate import Result
from reid.evaluation.protocols import Rivals
from reid.records import DISTRACTOR

FALSE_POSITIVES = {"TPR@FPR=1e-2": 1e-2, "TPR@FPR=1e-3": 1e-3, "TPR@FPR=1e-4": 1e-4}
FALSE_ALARMS = {"TPIR@FPIR=1%": 0.01, "TPIR@FPIR=5%": 0.05}
STEPS = 512  # thresholds at which the pairs of each person are counted, for intervals
_QUERIES, _BYTES = 256, 2**25  # of distances in memory at once
_KEPT = 5 * max(FALSE_POSITIVES.values())  # share of impostor pairs beyond which no threshold matters
_EQUAL = 1 + 1e-9  # 1e-4 times 30,000 is 3.0000000000000004


@dataclass(frozen=True, eq=False)
class PairCounts:
    """Genuine and impostor pairs of the queries of each person at rising thresholds.

    Attributes:
        genuine: int64 (persons, steps), pairs within each threshold.
        impostors: int64 (persons, steps).
        genuine_pairs: int64 (persons,), all pairs.
        impostor_pairs: int64 (persons,).

    """

    genuine: NDArray[np.int64]
    impostors: NDArray[np.int64]
    genuine_pairs: NDArray[np.int64]
    impostor_pairs: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class OpenSet:
    """The distances and counts behind the figures. Rows are those of `Result.ranking`.

    Attributes:
        nearest_right: float64 (n,), distance of each query's nearest right answer; infinite without any.
        nearest_wrong: float64 (n,), of its nearest other crop; infinite without any, NaN where the query is nobody.
        hit: bool (n,), whether the nearest crop is a right one.
        accepted: int64 (pairs,), impostor pairs at most as far as each genuine pair, in rising order.
        impostor_pairs: how many there are.
        people: int64 (n,), the place of each query's person in `by_person`; -1 where the query is nobody.
        by_person: pairs of each person.

    """

    nearest_right: NDArray[np.float64]
    nearest_wrong: NDArray[np.float64]
    hit: NDArray[np.bool_]
    accepted: NDArray[np.int64]
    impostor_pairs: int
    people: NDArray[np.int64]
    by_person: PairCounts

    def figures(self) -> dict[str, float]:
        """TPR and TPIR by name, from 0 to 1; without those whose rate is below that of one pair, or one search."""
        found = {
            name: float(np.mean(self.accepted <= rate * self.impostor_pairs * _EQUAL))
            for name, rate in FALSE_POSITIVES.items()
            if rate * self.impostor_pairs * _EQUAL >= 1
        }
        wrong = np.sort(self.nearest_wrong[np.isfinite(self.nearest_wrong)])
        mated = np.isfinite(self.nearest_right)
        for name, rate in FALSE_ALARMS.items():
            allowed = int(rate * len(wrong) * _EQUAL)
            if allowed >= 1:
                within = self.hit & (self.nearest_right < wrong[allowed])
                found[name] = float(within[mated].mean())
        return found


def open_set_of(result: Result, repeats: int = 1) -> OpenSet:
    """Compare all queries with the gallery once more.

    Args:
        result: of an evaluation.
        repeats: draws of the protocol single-shot; its pairs and searches are those of all draws.

    """
    query = result.candidates.query
    repeats = repeats if result.candidates.protocol.single_shot else 1
    persons, places = np.unique(query.identities[query.identities > DISTRACTOR], return_inverse=True)
    people = np.full(len(query), -1)
    people[query.identities > DISTRACTOR] = places
    rows, right = _genuine(result, repeats)
    people, hit = np.tile(people, repeats), result.ranking.first_hit == 1
    nearest_right = np.full(len(people), np.inf)
    np.minimum.at(nearest_right, rows, right)
    counted = _Impostors(np.sort(right), len(persons))
    nearest_wrong = np.full(len(people), np.nan)
    for repeat, first, last in _blocks(result, repeats):
        here = slice(repeat * len(query) + first, repeat * len(query) + last)
        values = _wrong(result, first, last, result.candidates.between(first, last, repeat))
        known = people[here] >= 0
        nearest_wrong[here][known] = values[known].min(axis=1, initial=np.inf)
        counted.add(values[known], people[here][known], repeats * len(query) * len(result.candidates.gallery))
    genuine = np.zeros((len(persons), len(counted.edges)), np.int64)
    np.add.at(genuine, (people[rows], np.searchsorted(counted.edges, right)), 1)
    by_person = PairCounts(
        genuine.cumsum(axis=1),
        counted.of_person,
        np.bincount(people[rows], minlength=len(persons)),
        counted.pairs,
    )
    total = int(counted.pairs.sum())
    return OpenSet(nearest_right, nearest_wrong, hit, counted.accepted, total, people, by_person)


class _Impostors:
    """Counts of impostor pairs at the distances of genuine pairs.

    Args:
        genuine: their distances, float32 (n,), rising.
        persons: number of persons.

    Attributes:
        accepted: int64 (n,), impostor pairs at most as far as each genuine pair, so far.
        edges: float32 (steps,), the thresholds at which pairs are counted by person.
        of_person: int64 (persons, steps), pairs within each edge.
        pairs: int64 (persons,), all pairs.

    """

    def __init__(self, genuine: NDArray[np.float32], persons: int) -> None:
        self._genuine, self._limit = genuine, genuine[-1]
        self.accepted = np.zeros(len(genuine), np.int64)
        steps = min(STEPS, len(genuine))
        self.edges = np.unique(genuine[np.arange(1, steps + 1) * len(genuine) // steps - 1])
        self.of_person = np.zeros((persons, len(self.edges)), np.int64)
        self.pairs = np.zeros(persons, np.int64)

    def add(self, values: NDArray[np.float32], people: NDArray[np.int64], possible: int) -> None:
        """Count float32 (queries, crops) `values`, infinite where there is no impostor, of `possible` in all.

        Above the distance at which more than `_KEPT` of them are counted, counts are too small: no figure looks
        there.
        """
        np.add.at(self.pairs, people, np.isfinite(values).sum(axis=1))
        rows = [np.sort(row[row <= self._limit]) for row in values]
        for person, row in zip(people, rows, strict=True):
            self.of_person[person] += np.searchsorted(row, self.edges, "right")
        near = np.sort(np.concatenate([np.zeros(0, np.float32), *rows]))
        self.accepted += np.searchsorted(near, self._genuine, "right")
        beyond = int(np.searchsorted(self.accepted, _KEPT * possible, "right"))
        self._limit = self._genuine[min(beyond, len(self._genuine) - 1)]


def _genuine(result: Result, repeats: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Rows and distances of all pairs of a query and a right answer."""
    rows, found = [np.zeros(0, np.int64)], [np.zeros(0, np.float32)]
    for repeat, first, last in _blocks(result, repeats):
        pairs = result.candidates.between(first, last, repeat).positives
        rows.append(repeat * len(result.candidates.query) + first + pairs.rows)
        found.append(result.distances.of_pairs(first + pairs.rows, pairs.columns))
    return np.concatenate(rows), np.concatenate(found)


def _wrong(result: Result, first: int, last: int, rivals: Rivals) -> NDArray[np.float32]:
    """Distances of these queries to all crops but right answers; infinite where a crop takes no part."""
    values = result.distances.rows(first, last)
    remove_absent(values, rivals)
    values[rivals.positives.rows, rivals.positives.columns] = np.inf
    return values


def _blocks(result: Result, repeats: int) -> Iterator[tuple[int, int, int]]:
    """Repeat, first query and end of what is compared at once."""
    queries, gallery = result.distances.shape
    step = max(1, min(_QUERIES, _BYTES // (4 * gallery)))
    for repeat in range(repeats):
        for first in range(0, queries, step):
            yield repeat, first, min(first + step, queries)
