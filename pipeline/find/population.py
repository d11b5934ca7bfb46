"""The number of different people in tracklets, with an interval, by similarities and decisions.

Divisions of the tracklets into people are drawn from their posterior; the numbers of people in them give the
estimate (their median) and the interval (2.5 % to 97.5 %). What the posterior is made of:

1. What people decided. Tracklets of one identity stay together, identities stay apart. Tracklets that share a
   frame, apart from each other, are of different people.
2. The similarities. The calibration of `find` says how much more likely a similarity s is between two tracklets
   of one person than of two (log): l(s). A group of n tracklets counts as n - 1 pairs of its mean l: pairs of
   one group are not independent, and all n (n-1) / 2 of them would claim too much.
3. The prior. Before anything was compared, each number of people from 1 to n is as likely as another, and each
   person is as likely to be on a tracklet: a division of n tracklets into k people has the probability
   1 / (n S(n, k)), with Stirling's number of the second kind, of such divisions.

An open tracklet may also show nobody: as if of 14 tracklets one had been junk, which was measured on simulated
flights (42 of 564), and by the decisions so far. The share is drawn once for each chain
of draws. A calibration is of other flights, so each chain has its own: the intercept moved by a normal error.

The draws are those of Gibbs samplers, which take one open tracklet after the other out of its group and put it
into one by these probabilities (Neal, J. Comp. Graph. Stat. 9, 2000, algorithm 3). Half of them begin with
everybody apart, half with everybody where they fit best. What this supposes: the decisions are right.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

OPEN = -1  # in `Decided.people`
SWEEPS = 45
_FIRST = 15  # sweeps that are not counted
_CHAINS = 16
_DOUBT = 0.6
_JUNK, _PERSONS = 1.0, 13.0  # tracklets that the prior counts for
_COVERED = 0.95


@dataclass(frozen=True, eq=False)
class Decided:
    """Tracklets, and what is known of each.

    Attributes:
        alike: float (n, n), symmetric: how much more likely (log) the similarity of two is if one person is shown.
        people: int64 (n,), the person that was decided, from 0; `OPEN` without a decision.
        apart: bool (n, n), pairs that are of different people.
        junk: tracklets, beside these, that were decided to show nobody.

    """

    alike: NDArray[np.floating]
    people: NDArray[np.int64]
    apart: NDArray[np.bool_]
    junk: int = 0


@dataclass(frozen=True)
class Population:
    """How many different people there are.

    Attributes:
        people: the estimate.
        low, high: of the interval that holds the number with a probability of 95 %.

    """

    people: int
    low: int
    high: int


def count_people(known: Decided, advance: Callable[[int], None] = lambda count: None, seed: int = 0) -> Population:
    """The number of different people among tracklets; equal arguments give equal figures.

    Args:
        known: the tracklets.
        advance: called with the number of sweeps just done, of `SWEEPS`.
        seed: of the draws.

    """
    chains = _Chains(known, np.random.default_rng(seed))
    draws = []
    for sweep in range(SWEEPS):
        chains.sweep()
        advance(1)
        if sweep >= _FIRST:
            draws.append(chains.people)
    shares = [(1 - _COVERED) / 2, 0.5, (1 + _COVERED) / 2]
    low, middle, high = np.quantile(draws, shares, method="closest_observation").astype(int).tolist()
    return Population(middle, low, high)


class _Chains:
    """Gibbs samplers, side by side: c chains of n tracklets, whose groups are n slots and one for nobody."""

    def __init__(self, known: Decided, rng: np.random.Generator) -> None:
        self._rng, self._n = rng, len(known.people)
        n = self._n
        self._rows = np.arange(_CHAINS)
        self._alike = np.asarray(known.alike, np.float64) * ~np.eye(n, dtype=bool)
        self._apart = [np.flatnonzero(each) for each in known.apart]
        self._doubt = _DOUBT * rng.normal(size=(_CHAINS, 1))
        self._open = np.flatnonzero(known.people == OPEN)
        # By the decisions alone: that a tracklet is like no other says little about it.
        self._junk = rng.beta(_JUNK + known.junk, _PERSONS + n - len(self._open), _CHAINS)
        self._group = np.full((_CHAINS, n), n)
        self._sizes = np.zeros((_CHAINS, n + 1), np.int64)
        self._pairs = np.zeros((_CHAINS, n + 1))  # sum of `alike` over the pairs of a group
        self._divisions = _log_stirling(n + 1)
        fixed = np.flatnonzero(known.people != OPEN)
        _, people = np.unique(known.people[fixed], return_inverse=True)
        for place, group in zip(fixed.tolist(), people.tolist(), strict=True):
            self._put(place, np.full(_CHAINS, group))
        for place in self._open.tolist():
            self._put(place, np.where(self._rows % 2, self._fitting(place), self._free()))

    @property
    def people(self) -> NDArray[np.int64]:
        """Number of people in each chain."""
        return np.asarray((self._sizes[:, : self._n] > 0).sum(axis=1), np.int64)

    def sweep(self) -> None:
        """Draw the group of each open tracklet once."""
        for place in self._rng.permutation(self._open).tolist():
            self._take_out(place)
            weights = self._weights(place)
            self._put(place, (weights + self._rng.gumbel(size=weights.shape)).argmax(axis=1))

    def _weights(self, place: int) -> NDArray[np.float64]:
        """Log weights of the slots that a tracklet which is taken out may be in: float64 (c, n + 1)."""
        sizes, there = self._sizes[:, :-1], self._sizes[:, :-1] > 0
        n, k = sizes.sum(axis=1), there.sum(axis=1)
        near = self._near(place)[:, :-1]
        joined = self._evidence(sizes + 1, self._pairs[:, :-1] + near) - self._evidence(sizes, self._pairs[:, :-1])
        person = np.log1p(-self._junk)
        weights = np.full((_CHAINS, self._n + 1), -np.inf)
        share = (person + self._prior(n + 1, k))[:, None]
        np.copyto(weights[:, :-1], joined + share, where=there & ~self._is_against(place))
        weights[self._rows, self._free()] = person + self._prior(n + 1, k + 1)
        weights[:, -1] = np.log(self._junk) + self._prior(n, k)
        return weights

    def _evidence(self, sizes: NDArray[np.int64], pairs: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(2 * pairs / np.maximum(sizes, 1) + np.maximum(sizes - 1, 0) * self._doubt, np.float64)

    def _fitting(self, place: int) -> NDArray[np.int64]:
        """The slot that a tracklet is most like: by the prior, the first ones would all be one person."""
        sizes, pairs = self._sizes[:, :-1], self._pairs[:, :-1]
        gain = self._evidence(sizes + 1, pairs + self._near(place)[:, :-1]) - self._evidence(sizes, pairs)
        gain = np.where((sizes > 0) & ~self._is_against(place), gain, -np.inf)
        gain[self._rows, self._free()] = 0.0
        return np.asarray(gain.argmax(axis=1), np.int64)

    def _prior(self, n: NDArray[np.int64], k: NDArray[np.int64]) -> NDArray[np.float64]:
        """Log probability of a division of n tracklets into k people; n may be 0."""
        found = -np.log(np.maximum(n, 1)) - self._divisions[n, k]
        return np.asarray(np.where((k == 0) & (n > 0), -np.inf, found), np.float64)

    def _near(self, place: int) -> NDArray[np.float64]:
        """The sum of `alike` of a tracklet to each slot."""
        slots = self._group + (self._n + 1) * self._rows[:, None]
        weights = np.broadcast_to(self._alike[place], slots.shape)
        found = np.bincount(slots.ravel(), weights=weights.ravel(), minlength=_CHAINS * (self._n + 1))
        return np.asarray(found.reshape(_CHAINS, -1), np.float64)

    def _is_against(self, place: int) -> NDArray[np.bool_]:
        """Which slots have a tracklet of another person, for certain."""
        found = np.zeros((_CHAINS, self._n + 1), np.bool_)
        found[self._rows[:, None], self._group[:, self._apart[place]]] = True
        return found[:, :-1]

    def _free(self) -> NDArray[np.int64]:
        return np.asarray(self._sizes[:, :-1].argmin(axis=1))

    def _put(self, place: int, groups: NDArray[np.int64]) -> None:
        self._pairs[self._rows, groups] += self._near(place)[self._rows, groups]
        self._sizes[self._rows, groups] += 1
        self._group[:, place] = groups

    def _take_out(self, place: int) -> None:
        groups = self._group[:, place].copy()
        self._group[:, place] = self._n
        self._pairs[self._rows, groups] -= self._near(place)[self._rows, groups]
        self._sizes[self._rows, groups] -= 1


def _log_stirling(most: int) -> NDArray[np.float64]:
    """Log of the number of divisions of n into k parts, float64 (most + 1, most + 1); -inf where there is none."""
    found = np.full((most + 1, most + 1), -np.inf)
    found[0, 0] = 0.0
    with np.errstate(divide="ignore"):
        parts = np.log(np.arange(most + 1))
    for n in range(1, most + 1):
        found[n, 1:] = np.logaddexp(found[n - 1, :-1], found[n - 1, 1:] + parts[1:])
    return found
