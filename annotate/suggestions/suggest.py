"""Candidates for a tracklet: the identities, the most similar first, and apart those it co-occurs with."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from annotate.log.state import State
from annotate.operations import Seen, flight_of
from annotate.suggestions.co_occurrence import CoOccurrence
from annotate.suggestions.features import Features
from annotate.suggestions.ground import FindPlace, Place
from annotate.suggestions.metric import PrincipalComponents, group_means, whitening, within

_FEWEST = 30  # tracklets; with fewer the metric is not estimated
_SAMPLE = 16  # vectors of a tracklet that it is estimated from
_WALKS_ON = 0.5  # added to the similarity where a tracklet could continue another one
_CLEAR = 0.05  # by which a match is more similar to an identity than to any other
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


class Match(NamedTuple):
    """A tracklet that is probably of an identity: more similar to it than to any other, by `margin`."""

    tracklet: str
    identity: int
    margin: float


class Suggester:
    """Ranks identities by a vector for each tracklet; follows when tracklets are split or change tails."""

    def __init__(self, features: Features, together: CoOccurrence, place: FindPlace) -> None:
        """`place` gives the person's place on the ground for a detection, if that is known."""
        self._features, self._together, self._place = features, together, place
        self._ends: dict[int, tuple[Place | None, Place | None]] = {}
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
        self._measured = self._under_the_metric(state)

    def similarities(self, tracklet: str, others: Iterable[str]) -> NDArray[np.float32]:
        """The similarity of `tracklet` and each of `others`: float32 (n,), the cosines under the metric."""
        rows = [self._rows[name] for name in others]
        return np.asarray(self._measured[rows] @ self._measured[self._rows[tracklet]], np.float32)

    def unity(self, tracklet: str) -> float:
        """How alike the parts of `tracklet` are, -1 to 1: the least cosine of what is before and after a cut.

        Where a tracklet changes from one person to another, the parts on both sides of the change differ.
        """
        content = self._contents[self._rows[tracklet]]
        vectors = self._features.flights[flight_of(tracklet)].of(content)
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
        alike = self._measured @ self._measured[self._rows[tracklet]]
        candidates, excluded = [], []
        for identity, members in state.members.items():
            others = [name for name in members if name != tracklet]
            if not others:
                continue
            similarity = max(
                float(alike[self._rows[name]]) + _WALKS_ON * self._walks_on(tracklet, name) for name in others
            )
            meeting = self._together.first(state, (tracklet,), others)
            if meeting is None:
                candidates.append(Candidate(identity, similarity))
            else:
                excluded.append(Excluded(identity, similarity, meeting.other, meeting.frame))
        candidates.sort(key=lambda each: (-each.similarity, each.identity))
        excluded.sort(key=lambda each: (-each.similarity, each.identity))
        return Ranking(candidates, excluded)

    def matches(self, state: State, names: Sequence[str]) -> list[Match]:
        """Those of `names`, tracklets without a label, that are clearly of one identity; the clearest first.

        A tracklet must be as similar to the identity as most labelled tracklets are to the rest of their own,
        clearly more similar to it than to any other, and never seen together with it.
        """
        self.follow(state)
        identities = state.people()
        rows = [[self._rows[name] for name in sorted(state.members[each])] for each in identities]
        vectors = self._measured
        usual = _usual_similarity(vectors, rows)
        if usual is None or not names:
            return []
        mine = vectors[[self._rows[name] for name in names]]
        alike = np.stack([(mine @ vectors[those].T).max(axis=1) for those in rows], axis=1)  # (names, identities)
        best = alike.argmax(axis=1)
        first = alike[np.arange(len(names)), best]
        alike[np.arange(len(names)), best] = -1.0
        margins = first - alike.max(axis=1)
        found = []
        for at in np.argsort(-margins, kind="stable").tolist():
            identity = identities[best[at]]
            clear = first[at] >= usual and margins[at] >= _CLEAR
            if clear and self._together.first(state, (names[at],), state.members[identity]) is None:
                found.append(Match(names[at], identity, float(margins[at])))
        return found

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
        persons = [[self._rows[name] for name in sorted(members)] for members in state.members.values()]
        return self._space.of(vectors, self._flights, persons)

    def _walks_on(self, one: str, other: str) -> float:
        """From 0 to 1: how well one of two tracklets continues the other."""
        if flight_of(one) != flight_of(other):
            return 0.0
        (begin, end), (other_begin, other_end) = self._ends_of(one), self._ends_of(other)
        if begin is None or end is None or other_begin is None or other_end is None:
            return 0.0
        if end.time < other_begin.time:
            return end.leads_to(other_begin)
        return other_end.leads_to(begin) if other_end.time < begin.time else 0.0

    def _ends_of(self, tracklet: str) -> tuple[Place | None, Place | None]:
        row = self._rows[tracklet]
        if row not in self._ends:
            flight, content = flight_of(tracklet), self._contents[row]
            self._ends[row] = (self._place(flight, content[0]), self._place(flight, content[-1]))
        return self._ends[row]


class _Space:
    """The tracklets' vectors, about the mean of their flight, under a metric that follows the labels."""

    def __init__(self) -> None:
        self.known = False
        self._means: dict[str, NDArray[np.float32]] = {}
        self._reduced = np.zeros((0, 0), np.float32)
        self._space = np.zeros((0, 0), np.float32)
        self._matrix = np.zeros((0, 0), np.float32)
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
        self, vectors: NDArray[np.float32], flights: Sequence[str], persons: Sequence[Sequence[int]]
    ) -> NDArray[np.float32]:
        """Vectors of length 1, a row for each of `vectors` (n, d); zeros where these are.

        Args:
            vectors: of all tracklets.
            flights: of each.
            persons: the rows of each identity.

        """
        changed = sorted(self._changed)
        if changed:
            means = np.stack([self._means.get(flights[row], self._mean) for row in changed])
            update = self._components.of(vectors[changed] - means) * vectors[changed].any(axis=1, keepdims=True)
            self._reduced = _longer(self._reduced, len(vectors), update, changed)
        labels = sum(len(rows) - 1 for rows in persons)
        if self._labels < 0 or abs(labels - self._labels) > _GROWTH * self._labels:
            self._labels = labels
            self._matrix = whitening(self._reduced, persons, self._prior)
            changed = list(range(len(vectors)))
        if changed:
            self._space = _longer(self._space, len(vectors), _unit(self._reduced[changed] @ self._matrix), changed)
        self._changed.clear()
        return self._space


def _usual_similarity(vectors: NDArray[np.float32], persons: Sequence[Sequence[int]]) -> float | None:
    """The similarity that three of four labelled tracklets have to the rest of their own; None without any."""
    found = []
    for rows in persons:
        if len(rows) > 1:
            alike = vectors[list(rows)] @ vectors[list(rows)].T
            np.fill_diagonal(alike, -1.0)
            found += alike.max(axis=1).tolist()
    return float(np.quantile(found, 0.25)) if found else None


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
