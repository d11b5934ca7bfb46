"""Who a tracklet might be: the identities, the most alike first, without those it was seen together with."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from annotate.features import Features
from annotate.operations import Seen, flight_of
from annotate.state import State
from annotate.together import Together


class Candidate(NamedTuple):
    """An identity that a tracklet might be, and how alike they are: -1 to 1."""

    identity: int
    similarity: float


class Suggester:
    """Keeps a vector for each tracklet, and follows when tracklets are split or change tails."""

    def __init__(self, features: Features, together: Together) -> None:
        self._features, self._together = features, together
        self._contents: list[tuple[Seen, ...]] = []
        self._rows: dict[str, int] = {}
        self._vectors = np.zeros((64, features.length), np.float32)

    def follow(self, state: State) -> None:
        """Take in the tracklets as they are in `state`."""
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

    def vector(self, tracklet: str) -> NDArray[np.float32]:
        """float32 (d,): what `tracklet` looks like, of length 1; zeros where nothing is known."""
        return self._vectors[self._rows[tracklet]]

    def similarities(self, tracklet: str, others: Iterable[str]) -> NDArray[np.float32]:
        """How alike `tracklet` and each of `others` are: the cosines of their vectors."""
        rows = [self._rows[name] for name in others]
        return np.asarray(self._vectors[rows] @ self.vector(tracklet), np.float32)

    def candidates(self, state: State, tracklet: str) -> list[Candidate]:
        """All identities that `tracklet` might be, the most alike first.

        An identity is as alike as its most alike tracklet: who turns round or walks into the shade looks like
        one of their pictures, not like the mean of them. One that is seen together with `tracklet` is left
        out: it is somebody else.
        """
        self.follow(state)
        alike = self._vectors[: len(self._contents)] @ self.vector(tracklet)
        found = []
        for identity, members in state.members.items():
            others = [name for name in members if name != tracklet]
            if others and all(self._together.frame(state, tracklet, name) is None for name in others):
                found.append(Candidate(identity, float(max(alike[self._rows[name]] for name in others))))
        return sorted(found, key=lambda each: (-each.similarity, each.identity))


def mean_direction(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32 (d,), of length 1: the mean of `vectors` (n, d); zeros where they are."""
    mean = vectors.sum(axis=0)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-9), np.float32)
