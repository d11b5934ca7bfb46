"""Candidates for a tracklet: the identities, the most similar first, and apart those it co-occurs with."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from annotate.log.state import State
from annotate.operations import Seen, flight_of
from annotate.suggestions.co_occurrence import CoOccurrence
from annotate.suggestions.features import Features
from annotate.suggestions.ground import FindPlace, leads_to
from annotate.suggestions.metric import PrincipalComponents, group_means, whitening, within

_FEWEST = 30  # tracklets; with fewer the metric is not estimated
_SAMPLE = 16  # vectors of a tracklet that it is estimated from
_WALKS_ON = 0.5  # added to the similarity where a tracklet could continue another one
_GROWTH = 0.1  # relative change of the number of labels after which the metric is estimated again


class Candidate(NamedTuple):
    """An identity that a tracklet might be, and its similarity: -1 to 1, more where it could be continued there."""

    identity: int
    similarity: float


class Excluded(NamedTuple):
    """An identity that a tracklet can hardly be: `tracklet`, one of its own, is apart from it in `frame`."""

    identity: int
    similarity: float
    tracklet: str
    frame: int


class Ranking(NamedTuple):
    """The identities that a tracklet might be, and those it was seen together with; the most similar first."""

    candidates: list[Candidate]
    excluded: list[Excluded]


class Suggester:
    """Ranks identities by a vector for each tracklet; follows when tracklets are split or change tails."""

    def __init__(self, features: Features, together: CoOccurrence, place: FindPlace) -> None:
        """`place` gives the person's place on the ground for a detection, if that is known."""
        self._features, self._together, self._place = features, together, place
        self._ends: dict[int, NDArray[np.float64]] = {}  # of each row its first and its last place
        self._unity: dict[int, float] = {}
        self._contents: list[tuple[Seen, ...]] = []
        self._rows: dict[str, int] = {}
        self._vectors = np.zeros((64, features.length), np.float32)
        self._flights: list[str] = []
        self._space = _Space()
        self._measured = self._vectors  # under the metric

    def follow(self, state: State) -> None:
        """Update the vectors to the tracklets in `state`, and the metric to its labels.

        The first time takes a moment where there are thousands of tracklets.
        """
        for name, content in state.tracklets.items():
            row = self._rows.get(name)
            if row is not None and self._contents[row] is content:
                continue
            if row is None:
                row = self._rows[name] = len(self._contents)
                self._contents.append(content)
                self._flights.append(flight_of(name))
                if row == len(self._vectors):
                    self._vectors = np.concatenate([self._vectors, np.zeros_like(self._vectors)])
            self._contents[row] = content
            self._vectors[row] = mean_direction(self._features.flights[flight_of(name)].of(content))
            self._space.forget(row)
            self._ends.pop(row, None)
            self._unity.pop(row, None)
        self._measured = self._under_the_metric(state)

    def similarities(self, tracklet: str, others: Iterable[str]) -> NDArray[np.float32]:
        """The similarity of `tracklet` and each of `others`: float32 (n,), the cosines under the metric."""
        rows = [self._rows[name] for name in others]
        return np.asarray(self._measured[rows] @ self._measured[self._rows[tracklet]], np.float32)

    def alike(self, names: Sequence[str], others: Sequence[str], half: int | None = None) -> NDArray[np.float32]:
        """The similarity of n tracklets and m others: float32 (n, m), more where one could continue the other.

        Args:
            names: the tracklets.
            others: those to compare them with.
            half: 0 or 1: under a metric that knows only the labels of even, or odd, identities.

        """
        rows, columns = ([self._rows[name] for name in those] for those in (names, others))
        one, other = (
            self._measured[those] if half is None else self._space.by_half(self._vectors, those, half)
            for those in (rows, columns)
        )
        alike = one @ other.T
        flights = [np.array([self._flights[row] for row in those]) for those in (rows, columns)]
        for flight in set(flights[0]) & set(flights[1]):
            at, to = (np.flatnonzero(those == flight) for those in flights)
            here, there = self._ends_of([rows[n] for n in at]), self._ends_of([columns[n] for n in to])
            on = np.maximum(leads_to(here[:, 1], there[:, 0]), leads_to(there[:, 1], here[:, 0]).T)
            alike[np.ix_(at, to)] += _WALKS_ON * on
        return np.asarray(alike, np.float32)

    def unity(self, tracklet: str) -> float:
        """How alike the parts of `tracklet` are, -1 to 1: the least cosine of what is before and after a cut.

        Where a tracklet changes from one person to another, the parts on both sides of the change differ.
        """
        row = self._rows[tracklet]
        if row not in self._unity:
            self._unity[row] = self._unity_of(self._flights[row], self._contents[row])
        return self._unity[row]

    def _unity_of(self, flight: str, content: tuple[Seen, ...]) -> float:
        vectors = self._features.flights[flight].of(content)
        cuts = sorted({len(vectors) * quarter // 4 for quarter in (1, 2, 3)} - {0})
        parts = [(mean_direction(vectors[:cut]), mean_direction(vectors[cut:])) for cut in cuts]
        return min((float(head @ tail) for head, tail in parts), default=1.0)

    def ranking(self, state: State, tracklet: str) -> Ranking:
        """All identities with another tracklet than `tracklet`, the most similar first.

        An identity is as similar as its most similar tracklet: a person who turns round or walks into the shade
        resembles one of their pictures, not the mean of them. One that co-occurs with `tracklet` is another
        person, unless a label or the tracker is wrong.
        """
        self.follow(state)
        candidates, excluded = [], []
        names = [name for members in state.members.values() for name in members]
        alike = dict(zip(names, self.alike([tracklet], names)[0].tolist(), strict=True))
        for identity, members in state.members.items():
            others = [name for name in members if name != tracklet]
            if not others:
                continue
            similarity = max(alike[name] for name in others)
            meeting = self._together.first(state, (tracklet,), others)
            if meeting is None:
                candidates.append(Candidate(identity, similarity))
            else:
                excluded.append(Excluded(identity, similarity, meeting.other, meeting.frame))
        candidates.sort(key=lambda each: (-each.similarity, each.identity))
        excluded.sort(key=lambda each: (-each.similarity, each.identity))
        return Ranking(candidates, excluded)

    def _under_the_metric(self, state: State) -> NDArray[np.float32]:
        """Vectors of length 1, a row for each tracklet; zeros where nothing is known of it."""
        vectors = self._vectors[: len(self._contents)]
        if not self._space.known:
            rows = np.flatnonzero(vectors.any(axis=1)).tolist()
            if len(rows) < _FEWEST:
                return vectors
            flights = [self._flights[row] for row in rows]
            samples = (
                self._features.flights[flight].sample(self._contents[row], _SAMPLE)
                for flight, row in zip(flights, rows, strict=True)
            )
            self._space.learn(vectors[rows], flights, within(samples))
        persons = {
            number: [self._rows[name] for name in sorted(members)] for number, members in state.members.items()
        }
        return self._space.of(vectors, self._flights, persons)

    def _ends_of(self, rows: Sequence[int]) -> NDArray[np.float64]:
        """Where each tracklet begins and ends, as in `leads_to`: float64 (n, 2, 5)."""
        for row in rows:
            if row not in self._ends:
                content = self._contents[row]
                places = [self._place(self._flights[row], seen) for seen in (content[0], content[-1])]
                self._ends[row] = np.array([(np.nan,) * 5 if each is None else astuple(each) for each in places])
        return np.stack([self._ends[row] for row in rows])


class _Space:
    """The tracklets' vectors, about the mean of their flight, under a metric that follows the labels."""

    def __init__(self) -> None:
        self.known = False
        self._means: dict[str, NDArray[np.float32]] = {}
        self._reduced = np.zeros((0, 0), np.float32)
        self._space = np.zeros((0, 0), np.float32)
        self._matrix = np.zeros((0, 0), np.float32)
        self._halves = [self._matrix, self._matrix]  # of the labels of even and of odd identities alone
        self._changed: set[int] = set()
        self._labels = -1  # of which the metric was estimated

    def learn(self, vectors: NDArray[np.float32], flights: Sequence[str], covariance: NDArray[np.float64]) -> None:
        """Estimate the metric without labels.

        Args:
            vectors: of all tracklets, one a row.
            flights: of each.
            covariance: of the vectors within a tracklet.

        """
        _, groups = np.unique(flights, return_inverse=True)
        means = group_means(vectors, groups)
        self._means = dict(zip(flights, means, strict=True))
        self._mean = vectors.mean(axis=0)  # of a flight of which nothing was known then
        self._components = PrincipalComponents(vectors - means)
        self._prior = self._components.prior(covariance)
        self.known = True

    def forget(self, row: int) -> None:
        """Note that the vector in `row` has changed."""
        self._changed.add(row)

    def of(
        self, vectors: NDArray[np.float32], flights: Sequence[str], persons: Mapping[int, Sequence[int]]
    ) -> NDArray[np.float32]:
        """Vectors of length 1, a row for each of `vectors` (n, d); zeros where these are.

        Args:
            vectors: of all tracklets.
            flights: of each.
            persons: identity -> its rows.

        """
        changed = sorted(self._changed)
        if changed:
            means = np.stack([self._means.get(flights[row], self._mean) for row in changed])
            update = self._components.of(vectors[changed] - means) * vectors[changed].any(axis=1, keepdims=True)
            self._reduced = _longer(self._reduced, len(vectors), update, changed)
        labels = sum(len(rows) - 1 for rows in persons.values())
        if self._labels < 0 or abs(labels - self._labels) > _GROWTH * self._labels:
            self._labels = labels
            self._matrix = whitening(self._reduced, list(persons.values()), self._prior)
            halves = ([rows for number, rows in persons.items() if number % 2 == half] for half in (0, 1))
            self._halves = [whitening(self._reduced, rows, self._prior) for rows in halves]
            changed = list(range(len(vectors)))
        if changed:
            self._space = _longer(self._space, len(vectors), _unit(self._reduced[changed] @ self._matrix), changed)
        self._changed.clear()
        return self._space

    def by_half(self, vectors: NDArray[np.float32], rows: Sequence[int], half: int) -> NDArray[np.float32]:
        """As `of`, for `rows` alone, by the labels of the even (0) or the odd (1) identities alone."""
        return _unit(self._reduced[rows] @ self._halves[half]) if self.known else vectors[rows]


def _longer(
    rows: NDArray[np.float32], count: int, update: NDArray[np.float32], places: list[int]
) -> NDArray[np.float32]:
    """`rows` (m, k) extended to `count`, with `update` at `places`."""
    if len(rows) < count:
        rows = np.concatenate(
            [rows.reshape(-1, update.shape[1]), np.zeros((count - len(rows), update.shape[1]), np.float32)]
        )
    rows[places] = update
    return rows


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9), np.float32)


def mean_direction(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32 (d,), of length 1: the mean of `vectors` (n, d); zeros where they are."""
    mean = vectors.sum(axis=0)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-9), np.float32)
