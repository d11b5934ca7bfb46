"""Candidates for a tracklet: the identities, the most similar first, without those it co-occurs with."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from annotate.log.state import State
from annotate.operations import Seen, flight_of
from annotate.suggestions.co_occurrence import CoOccurrence
from annotate.suggestions.features import Features
from annotate.suggestions.ground import FindPlace, Place
from annotate.suggestions.metric import PrincipalComponents, whitening

_LEAST_LABELS = 10  # tracklets whose identity has another one; with fewer the metric is not estimated
_WALKS_ON = 0.5  # added to the similarity where a tracklet could continue another one
_GROWTH = 0.1  # relative change of the number of labels after which the metric is estimated again


class Candidate(NamedTuple):
    """An identity that a tracklet might be, and its similarity: -1 to 1, more where it could be continued there."""

    identity: int
    similarity: float


class Suggester:
    """Ranks identities by a vector for each tracklet; follows when tracklets are split or change tails."""

    def __init__(self, features: Features, together: CoOccurrence, place: FindPlace) -> None:
        """`place` gives the person's place on the ground for a detection, if that is known."""
        self._features, self._together, self._place = features, together, place
        self._ends: dict[int, tuple[Place | None, Place | None]] = {}
        self._contents: list[tuple[Seen, ...]] = []
        self._rows: dict[str, int] = {}
        self._vectors = np.zeros((64, features.length), np.float32)
        self._whitened = _WhitenedSpace()

    def follow(self, state: State) -> None:
        """Update the vectors to the tracklets in `state`."""
        for name, content in state.tracklets.items():
            row = self._rows.get(name)
            if row is not None and self._contents[row] is content:
                continue
            if row is None:
                row = self._rows[name] = len(self._contents)
                self._contents.append(content)
                if row == len(self._vectors):
                    self._vectors = np.concatenate([self._vectors, np.zeros_like(self._vectors)])
            self._contents[row] = content
            self._vectors[row] = mean_direction(self._features.flights[flight_of(name)].of(content))
            self._whitened.forget(row)
            self._ends.pop(row, None)

    def vector(self, tracklet: str) -> NDArray[np.float32]:
        """The descriptor of `tracklet`: float32 (d,), of length 1; zeros where nothing is known."""
        return self._vectors[self._rows[tracklet]]

    def similarities(self, tracklet: str, others: Iterable[str]) -> NDArray[np.float32]:
        """The similarity of `tracklet` and each of `others`: float32 (n,), the cosines of their vectors."""
        rows = [self._rows[name] for name in others]
        return np.asarray(self._vectors[rows] @ self.vector(tracklet), np.float32)

    def candidates(self, state: State, tracklet: str) -> list[Candidate]:
        """All identities that `tracklet` might be, the most similar first.

        An identity is as similar as its most similar tracklet: a person who turns round or walks into the shade
        resembles one of their pictures, not the mean of them. One that co-occurs with `tracklet` is left out: it
        is another person.
        """
        self.follow(state)
        persons = [[self._rows[name] for name in members] for members in state.members.values()]
        vectors = self._whitened.space(self._vectors[: len(self._contents)], persons)
        alike = vectors @ vectors[self._rows[tracklet]]
        found = []
        for identity, members in state.members.items():
            others = [name for name in members if name != tracklet]
            if others and all(self._together.frame(state, tracklet, name) is None for name in others):
                similarity = max(
                    float(alike[self._rows[name]]) + _WALKS_ON * self._walks_on(tracklet, name) for name in others
                )
                found.append(Candidate(identity, similarity))
        return sorted(found, key=lambda each: (-each.similarity, each.identity))

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


class _WhitenedSpace:
    """The tracklets' vectors under the metric of the labels, which is estimated again as labels are added."""

    def __init__(self) -> None:
        self._components: PrincipalComponents | None = None
        self._reduced = np.zeros((0, 0), np.float32)
        self._space = np.zeros((0, 0), np.float32)
        self._matrix = np.zeros((0, 0), np.float32)
        self._changed: set[int] = set()
        self._labels = 0

    def forget(self, row: int) -> None:
        """Note that the vector in `row` has changed."""
        self._changed.add(row)

    def space(self, vectors: NDArray[np.float32], persons: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """Vectors of length 1, a row for each of `vectors` (n, d); these themselves while there are few labels.

        Args:
            vectors: of all tracklets.
            persons: the rows of each identity.

        """
        labels = sum(len(rows) - 1 for rows in persons)
        if labels < _LEAST_LABELS:
            return vectors
        if self._components is None:
            self._components, self._changed = PrincipalComponents(vectors), set(range(len(vectors)))
        changed = sorted(self._changed)
        self._reduced = _longer(self._reduced, len(vectors), self._components.of(vectors[changed]), changed)
        if abs(labels - self._labels) > _GROWTH * self._labels:
            self._labels = labels
            self._matrix = whitening(self._reduced, persons, self._components.variance)
            changed = list(range(len(vectors)))
        self._space = _longer(self._space, len(vectors), _unit(self._reduced[changed] @ self._matrix), changed)
        self._changed.clear()
        return self._space


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
