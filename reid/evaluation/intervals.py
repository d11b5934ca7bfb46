"""Intervals of figures by resampling persons, with replacement (percentile bootstrap over identities).

Queries of one person are alike, so that persons, not queries, are drawn; the gallery stays as it is. The draws
follow from the seed alone, so that two evaluations of the same queries get the same draws and their differences are
paired.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reid.evaluation.metrics import CMC_RANKS
from reid.evaluation.open_set import FALSE_ALARMS, FALSE_POSITIVES, PairCounts
from reid.records import DISTRACTOR

DRAWS, SEED = 1000, 0
LEVEL = 0.95
_NUMBERS = 2**24  # of the largest array of a chunk of draws
_EQUAL = 1 + 1e-9  # as for the figures

# Figures, float64 (draws,), of weights, (draws, persons): how often each person was drawn.
Statistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]
Interval = tuple[float, float]


@dataclass(frozen=True, eq=False)
class QueryFigures:
    """What the figures of an evaluation are made of; a row is a query, and with single-shot a query in a repeat.

    Attributes:
        identities: int64 (n,).
        average_precision: float64 (n,), NaN where there is no right answer.
        inverse_negative_penalty: float64 (n,), likewise.
        first_hit: int64 (n,), 0 where there is no right answer.
        nearest_right: float64 (n,), as in `OpenSet`; None: unknown.
        nearest_wrong: float64 (n,), likewise.

    """

    identities: NDArray[np.int64]
    average_precision: NDArray[np.float64]
    inverse_negative_penalty: NDArray[np.float64]
    first_hit: NDArray[np.int64]
    nearest_right: NDArray[np.float64] | None = None
    nearest_wrong: NDArray[np.float64] | None = None

    def people(self) -> NDArray[np.int64]:
        """The place of each query's person among all that are queries, int64 (n,); -1 where it is nobody."""
        known = self.identities > DISTRACTOR
        people = np.full(len(self.identities), -1)
        people[known] = np.unique(self.identities[known], return_inverse=True)[1]
        return people

    def statistics(self) -> dict[str, Statistic]:
        """mAP, mINP, ranks and TPIR, by name."""
        valid, people = self.first_hit > 0, self.people()
        values = {"mAP": self.average_precision, "mINP": self.inverse_negative_penalty} | {
            f"rank-{rank}": (self.first_hit <= rank).astype(np.float64) for rank in CMC_RANKS
        }
        found = {name: _mean(value[valid], people[valid], people.max() + 1) for name, value in values.items()}
        if self.nearest_right is not None and self.nearest_wrong is not None:
            searches = _Searches(people, self.first_hit == 1, self.nearest_right, self.nearest_wrong)
            found |= {
                name: searches.at(rate) for name, rate in FALSE_ALARMS.items() if rate * len(searches) * _EQUAL >= 1
            }
        return found


def verification_statistics(counts: PairCounts) -> dict[str, Statistic]:
    """TPR by name, at the thresholds at which pairs were counted by person."""
    pairs = counts.impostor_pairs.sum()
    return {name: _tpr(counts, rate) for name, rate in FALSE_POSITIVES.items() if rate * pairs * _EQUAL >= 1}


def intervals(statistics: Mapping[str, Statistic], queries: QueryFigures) -> dict[str, Interval]:
    """The interval of each figure, from the 2.5th to the 97.5th percentile; none where there is one person only.

    Args:
        statistics: figures by name.
        queries: whose persons are drawn.

    """
    people = queries.people()
    if len(np.unique(people[queries.first_hit > 0])) < 2:
        return {}
    chunks: dict[str, list[NDArray[np.float64]]] = {name: [] for name in statistics}
    for weights in _draws(int(people.max()) + 1, len(people)):
        for name, statistic in statistics.items():
            chunks[name].append(statistic(weights))
    tails = 50 * (1 - LEVEL), 100 - 50 * (1 - LEVEL)
    found = {}
    for name, parts in chunks.items():
        low, high = np.nanpercentile(np.concatenate(parts), tails)
        found[name] = float(low), float(high)
    return found


def _draws(persons: int, queries: int) -> Iterator[NDArray[np.float64]]:
    rng = np.random.default_rng(SEED)
    step = max(1, _NUMBERS // max(1, persons, queries))
    for first in range(0, DRAWS, step):
        yield rng.multinomial(persons, np.full(persons, 1 / persons), min(step, DRAWS - first)).astype(np.float64)


def _mean(values: NDArray[np.float64], people: NDArray[np.int64], persons: int) -> Statistic:
    sums, counts = np.bincount(people, values, persons), np.bincount(people, minlength=persons)
    return lambda weights: _share(weights @ sums, weights @ counts)


def _tpr(counts: PairCounts, rate: float) -> Statistic:
    def statistic(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        false = weights @ counts.impostors
        steps = (false <= rate * _EQUAL * (weights @ counts.impostor_pairs)[:, None]).sum(axis=1)
        accepted = np.take_along_axis(weights @ counts.genuine, np.maximum(steps - 1, 0)[:, None], axis=1)[:, 0]
        return _share(np.where(steps > 0, accepted, 0), weights @ counts.genuine_pairs)

    return statistic


class _Searches:
    """Mated and non-mated searches, sorted by distance; `len` is the number of the latter."""

    def __init__(
        self,
        people: NDArray[np.int64],
        hit: NDArray[np.bool_],
        right: NDArray[np.float64],
        wrong: NDArray[np.float64],
    ) -> None:
        alone, mated = np.flatnonzero(np.isfinite(wrong)), np.isfinite(right)
        alone = alone[np.argsort(wrong[alone], kind="stable")]
        self._wrong, self._of_wrong = wrong[alone], people[alone]
        hits = np.flatnonzero(hit & mated)
        hits = hits[np.argsort(right[hits], kind="stable")]
        self._right, self._of_right = right[hits], people[hits]
        self._mated = np.bincount(people[mated], minlength=people.max() + 1)

    def __len__(self) -> int:
        return len(self._wrong)

    def at(self, rate: float) -> Statistic:
        """TPIR at an FPIR of `rate`."""

        def statistic(weights: NDArray[np.float64]) -> NDArray[np.float64]:
            false = weights[:, self._of_wrong].cumsum(axis=1)
            allowed = rate * _EQUAL * false[:, -1]
            first_too_many = (false <= allowed[:, None]).sum(axis=1)
            threshold = self._wrong[np.minimum(first_too_many, len(self) - 1)]
            within = np.searchsorted(self._right, threshold, "left")
            found = np.pad(weights[:, self._of_right].cumsum(axis=1), ((0, 0), (1, 0)))
            return _share(np.take_along_axis(found, within[:, None], axis=1)[:, 0], weights @ self._mated)

        return statistic


def _share(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """`part` of `whole`; NaN where nobody who counts was drawn."""
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)
