"""Checks of the labels: each finding with the decision that would correct it, the gravest kind first.

A finding's key stays the same as long as its tracklets and identities do: one that was accepted
(`annotate.operations.Accept`) is not shown again.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations, pairwise, product

import numpy as np
from numpy.typing import NDArray

from annotate.log.state import State
from annotate.operations import Assign, Decision, Mark, Merge, SetMark, flight_of
from annotate.suggestions.co_occurrence import CoOccurrence
from annotate.suggestions.ground import FindPlace
from annotate.suggestions.suggest import Suggester

RUN_M_S = 9.0  # metres a second; nobody in a field runs faster
_GAP_S = 60.0  # places that are farther apart in time are not compared: they drift
_MARGIN = 0.02  # of similarity: less is noise


@dataclass(frozen=True)
class Finding:
    """A possible error in the labels.

    Attributes:
        key: its name.
        kind: "twice", "speed", "unlike", "duplicate" or "disagreement".
        message: what is wrong, for people to read.
        tracklets: those to compare.
        identities: those concerned.
        frame: the frame to show, in the flight of the first tracklet; None: any.
        correction: the decision that corrects it, if it is wrong.
        correction_label: that decision in words.

    """

    key: str
    kind: str
    message: str
    tracklets: tuple[str, ...]
    identities: tuple[int, ...]
    frame: int | None
    correction: Decision
    correction_label: str


def findings(state: State, suggester: Suggester, together: CoOccurrence, place: FindPlace) -> list[Finding]:
    """All possible errors in `state` that were not accepted.

    Args:
        state: the labels.
        suggester: gives the similarity of tracklets.
        together: gives the frame in which two tracklets co-occur.
        place: gives the place of a detection on the ground; None where the camera's motion is not known.

    """
    suggester.follow(state)
    found = [*_twice(state, together), *_too_fast(state, place), *_disagreements(state)]
    if len(state.members) > 1:
        alike = _Similarities(state, suggester, together)
        found += [*alike.unlike(), *alike.duplicates()]
    return [each for each in found if each.key not in state.accepted]


def _twice(state: State, together: CoOccurrence) -> Iterator[Finding]:
    """One identity in two places of a frame."""
    for identity, members in sorted(state.members.items()):
        for first, second in combinations(sorted(members), 2):
            frame = together.frame(state, first, second)
            if frame is not None:
                shorter = min(first, second, key=lambda name: (len(state.tracklets[name]), name))
                yield Finding(
                    key=f"twice {identity} {first} {second}",
                    kind="twice",
                    message=f"identity {identity} is twice in frame {frame} of {flight_of(first)}",
                    tracklets=(first, second),
                    identities=(identity,),
                    frame=frame,
                    correction=SetMark(tracklets=(shorter,), mark=Mark.OPEN),
                    correction_label=f"take {shorter} out of {identity}",
                )


def _too_fast(state: State, place: FindPlace) -> Iterator[Finding]:
    """One identity here, and a moment later too far from here."""
    for identity, members in sorted(state.members.items()):
        flights: dict[str, list[str]] = defaultdict(list)
        for name in members:
            flights[flight_of(name)].append(name)
        for flight, names in sorted(flights.items()):
            names.sort(key=lambda name: state.tracklets[name][0].frame)
            for before, after in pairwise(names):
                first, second = state.tracklets[before][-1], state.tracklets[after][0]
                here, there = place(flight, first), place(flight, second)
                if here is None or there is None or not 0 < there.time - here.time <= _GAP_S:
                    continue
                speed = (here.metres_to(there) - 1.0) / (there.time - here.time)  # a metre for the boxes' jitter
                if speed > RUN_M_S:
                    shorter = min(before, after, key=lambda name: (len(state.tracklets[name]), name))
                    yield Finding(
                        key=f"speed {identity} {before} {after}",
                        kind="speed",
                        message=f"identity {identity} would have moved {speed:.0f} m/s between frames "
                        f"{first.frame} and {second.frame} of {flight}",
                        tracklets=(before, after),
                        identities=(identity,),
                        frame=first.frame,
                        correction=SetMark(tracklets=(shorter,), mark=Mark.OPEN),
                        correction_label=f"take {shorter} out of {identity}",
                    )


def _disagreements(state: State) -> Iterator[Finding]:
    """Tracklets that were called something else at a second look, and still are what they were."""
    for name, (label, answer) in sorted(state.second_looks.items()):
        if answer not in (label, Mark.SKIPPED) and state.labels.get(name) == label:
            other = f"identity {answer}" if isinstance(answer, int) else str(answer)
            known = f"identity {label}" if isinstance(label, int) else str(label)
            identities = tuple(each for each in (label, answer) if isinstance(each, int) and each in state.exists)
            yield Finding(
                key=f"disagreement {name} {label} {answer}",
                kind="disagreement",
                message=f"{name} is {known}; at a second look it was called {other}",
                tracklets=(name,),
                identities=identities,
                frame=None,
                correction=SetMark(tracklets=(name,), mark=Mark.OPEN),
                correction_label=f"label {name} again",
            )


class _Similarities:
    """The similarity of each labelled tracklet to each identity: to the most similar of its other tracklets."""

    def __init__(self, state: State, suggester: Suggester, together: CoOccurrence) -> None:
        self._state, self._together = state, together
        self._identities = sorted(state.members)
        self._names = [name for identity in self._identities for name in sorted(state.members[identity])]
        counts = [len(state.members[identity]) for identity in self._identities]
        self._starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
        self._owner = np.repeat(np.arange(len(counts)), counts)
        self._alike = np.stack(
            [self._row(suggester, at) for at in range(len(self._names))]
        )  # (tracklets, identities)

    def _row(self, suggester: Suggester, at: int) -> NDArray[np.float32]:
        alike = suggester.similarities(self._names[at], self._names)
        alike[at] = -np.inf  # itself is no witness
        return np.asarray(np.maximum.reduceat(alike, self._starts), np.float32)

    def _seen_together(self, some: Iterable[str], others: Iterable[str]) -> bool:
        pairs = product(some, others)
        return any(self._together.frame(self._state, one, other) is not None for one, other in pairs)

    def unlike(self) -> Iterator[Finding]:
        """Tracklets that look more like another identity than like the rest of their own, the clearest first."""
        own = self._alike[np.arange(len(self._names)), self._owner]
        others = self._alike.copy()
        others[np.arange(len(self._names)), self._owner] = -np.inf
        best = others.argmax(axis=1)
        gain = others.max(axis=1) - own
        for at in np.argsort(-gain, kind="stable").tolist():
            if not np.isfinite(own[at]) or gain[at] <= _MARGIN:
                continue
            name, other = self._names[at], self._identities[best[at]]
            if self._seen_together([name], self._state.members[other]):
                continue
            identity = self._identities[self._owner[at]]
            yield Finding(
                key=f"unlike {name} {identity} {other}",
                kind="unlike",
                message=f"{name} looks more like identity {other} ({others[at].max():.2f}) than like the rest of "
                f"its own, {identity} ({own[at]:.2f})",
                tracklets=(name,),
                identities=(identity, other),
                frame=None,
                correction=Assign(tracklets=(name,), identity=other),
                correction_label=f"{name} is {other}",
            )

    def duplicates(self) -> Iterator[Finding]:
        """Pairs of identities as alike as the tracklets of one usually are, the most alike first."""
        own = self._alike[np.arange(len(self._names)), self._owner]
        own = own[np.isfinite(own)]
        usual = float(np.median(own)) if len(own) else 1.0
        between = np.maximum.reduceat(self._alike, self._starts, axis=0)
        np.fill_diagonal(between, -np.inf)
        pairs = np.argwhere(np.triu(np.maximum(between, between.T) >= usual, 1))
        order = sorted(map(tuple, pairs.tolist()), key=lambda pair: -max(between[pair], between[pair[::-1]]))
        for one, other in order:
            first, second = self._identities[one], self._identities[other]
            members = self._state.members
            if self._seen_together(members[first], members[second]):
                continue
            similarity = max(between[one, other], between[other, one])
            yield Finding(
                key=f"duplicate {first} {second}",
                kind="duplicate",
                message=f"identities {first} and {second} look alike ({similarity:.2f}), never seen together",
                tracklets=(),
                identities=(first, second),
                frame=None,
                correction=Merge(source=second, into=first),
                correction_label=f"{second} is {first}",
            )
