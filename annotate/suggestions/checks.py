"""Checks of the labels: each finding with the decisions that would correct it, the gravest kind first.

A finding's key stays the same as long as its tracklets and identities do: one that was accepted
(`annotate.operations.Accept`) is not shown again.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

from annotate.log.state import State
from annotate.operations import Answer, Assign, Decision, Mark, Merge, NewIdentity, SetMark, flight_of
from annotate.suggestions.co_occurrence import CoOccurrence
from annotate.suggestions.ground import FindPlace
from annotate.suggestions.suggest import Suggester

RUN_M_S = 9.0  # metres a second; nobody in a field runs faster
_GAP_S = 60.0  # places that are farther apart in time are not compared: they drift
_MARGIN = 0.02  # of similarity: less is noise
_DUPLICATES = 3  # of each identity: the others can be seen once these are decided
KINDS = ("twice", "speed", "disagreement", "questioned", "unlike", "duplicate")  # the gravest first


@dataclass(frozen=True)
class Correction:
    """A decision that corrects a finding, and its words for people to read."""

    label: str
    decision: Decision


@dataclass(frozen=True)
class Finding:
    """A possible error in the labels.

    Attributes:
        key: its name.
        kind: one of `KINDS`.
        message: what is wrong, for people to read.
        tracklets: those to compare.
        identities: those concerned.
        frame: the frame to show, in the flight of the first tracklet; None: any.
        corrections: the decisions that would correct it, the likeliest first.
        odd: the tracklet that seems to be wrong, one of `tracklets`; None: none more than another.

    """

    key: str
    kind: str
    message: str
    tracklets: tuple[str, ...]
    identities: tuple[int, ...]
    frame: int | None
    corrections: tuple[Correction, ...]
    odd: str | None = None


def findings(state: State, suggester: Suggester, together: CoOccurrence, place: FindPlace) -> list[Finding]:
    """All possible errors in `state` that were not accepted.

    Args:
        state: the labels.
        suggester: gives the similarity of tracklets.
        together: gives the frame in which two tracklets co-occur.
        place: gives the place of a detection on the ground; None where the camera's motion is not known.

    """
    suggester.follow(state)
    misfits = _Misfits(state, suggester)
    found = [*_twice(state, together, misfits), *_too_fast(state, place, misfits), *_disagreements(state)]
    found += _questioned(state)
    if len(state.members) > 1:
        alike = _Similarities(state, suggester, together)
        found += [*alike.unlike(), *alike.duplicates()]
    return [each for each in found if each.key not in state.accepted]


class _Misfits:
    """The tracklet of two that fits the identity less."""

    def __init__(self, state: State, suggester: Suggester) -> None:
        self._state, self._suggester = state, suggester

    def of(self, identity: int, first: str, second: str) -> str:
        """The one less similar to the rest of the identity's; else the more mixed in itself; else the shorter."""
        rest = sorted(self._state.members[identity] - {first, second})
        for measure in (lambda name: self._to_the_rest(name, rest), self._suggester.unity):
            one, other = measure(first), measure(second)
            if abs(one - other) > _MARGIN:
                return first if one < other else second
        return min(first, second, key=lambda name: (len(self._state.tracklets[name]), name))

    def _to_the_rest(self, name: str, rest: list[str]) -> float:
        return float(self._suggester.similarities(name, rest).max()) if rest else 0.0


def _one_too_many(identity: int, odd: str, other: str) -> tuple[Correction, ...]:
    """The corrections where an identity has two tracklets that exclude each other."""
    return (
        *(
            Correction(f"take {name} out of person {identity}", SetMark(tracklets=(name,), mark=Mark.OPEN))
            for name in (odd, other)
        ),
        *(_no_person(name) for name in (odd, other)),
    )


def _no_person(name: str) -> Correction:
    return Correction(f"{name} is not a person", SetMark(tracklets=(name,), mark=Mark.JUNK))


def _twice(state: State, together: CoOccurrence, misfits: _Misfits) -> Iterator[Finding]:
    """One identity in two places of a frame."""
    for identity, members in sorted(state.members.items()):
        for first, second in combinations(sorted(members), 2):
            frame = together.frame(state, first, second)
            if frame is not None:
                odd = misfits.of(identity, first, second)
                yield Finding(
                    key=f"twice {identity} {first} {second}",
                    kind="twice",
                    message=f"person {identity} is twice in frame {frame}: {first} and {second}",
                    tracklets=(first, second),
                    identities=(identity,),
                    frame=frame,
                    corrections=_one_too_many(identity, odd, second if odd == first else first),
                    odd=odd,
                )


def _too_fast(state: State, place: FindPlace, misfits: _Misfits) -> Iterator[Finding]:
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
                if here is None or there is None or here.piece != there.piece:
                    continue
                if not 0 < there.time - here.time <= _GAP_S:
                    continue
                speed = (here.metres_to(there) - 1.0) / (there.time - here.time)  # a metre for the boxes' jitter
                if speed > RUN_M_S:
                    odd = misfits.of(identity, before, after)
                    yield Finding(
                        key=f"speed {identity} {before} {after}",
                        kind="speed",
                        message=f"person {identity} would have moved {speed:.0f} m/s between frames "
                        f"{first.frame} and {second.frame} of {flight}",
                        tracklets=(before, after),
                        identities=(identity,),
                        frame=first.frame,
                        corrections=_one_too_many(identity, odd, after if odd == before else before),
                        odd=odd,
                    )


def _disagreements(state: State) -> Iterator[Finding]:
    """Tracklets that were called something else at a second look, and still are what they were."""
    for name, (label, answer) in sorted(state.second_looks.items()):
        if answer not in (label, Mark.SKIPPED) and state.labels.get(name) == label:
            other = f"person {answer}" if isinstance(answer, int) else str(answer)
            known = f"person {label}" if isinstance(label, int) else str(label)
            identities = tuple(each for each in (label, answer) if isinstance(each, int) and each in state.exists)
            yield Finding(
                key=f"disagreement {name} {label} {answer}",
                kind="disagreement",
                message=f"{name} is {known}; at a second look it was called {other}",
                tracklets=(name,),
                identities=identities,
                frame=None,
                corrections=_labelled_otherwise(state, name, answer),
                odd=name,
            )


def _questioned(state: State) -> Iterator[Finding]:
    """Tracklets whose label a reviewer questioned, and that still have it."""
    for name, (label, review) in sorted(state.reviews.items()):
        if review.verdict == "questioned" and state.labels.get(name) == label:
            known = f"person {label}" if isinstance(label, int) else str(label)
            why = f": {' '.join(review.reason.split())}" if review.reason else ""
            yield Finding(
                key=f"questioned {name} {label}",
                kind="questioned",
                message=f"{name} is {known}; a reviewer questioned it{why}",
                tracklets=(name,),
                identities=(label,) if isinstance(label, int) else (),
                frame=None,
                corrections=(
                    Correction(f"ask about {name} again", SetMark(tracklets=(name,), mark=Mark.OPEN)),
                    Correction(f"{name} is a new person", NewIdentity(tracklets=(name,))),
                    *(() if label is Mark.JUNK else (_no_person(name),)),
                ),
                odd=name,
            )


def _labelled_otherwise(state: State, name: str, answer: Answer) -> tuple[Correction, ...]:
    again = Correction(f"ask about {name} again", SetMark(tracklets=(name,), mark=Mark.OPEN))
    if isinstance(answer, int) and answer in state.exists:
        return again, Correction(f"{name} is person {answer}", Assign(tracklets=(name,), identity=answer))
    return (again, _no_person(name)) if answer == Mark.JUNK.value else (again,)


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
        return self._together.first(self._state, some, others) is not None

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
                message=f"{name} looks more like person {other} ({others[at].max():.2f}) than like the rest of "
                f"its own, {identity} ({own[at]:.2f})",
                tracklets=(name,),
                identities=(identity, other),
                frame=None,
                corrections=(
                    Correction(f"{name} is person {other}", Assign(tracklets=(name,), identity=other)),
                    Correction(f"take {name} out of person {identity}", SetMark(tracklets=(name,), mark=Mark.OPEN)),
                    Correction(f"{name} is a new person", NewIdentity(tracklets=(name,))),
                    _no_person(name),
                ),
                odd=name,
            )

    def duplicates(self) -> Iterator[Finding]:
        """Pairs of identities as alike as the tracklets of one usually are, the most alike first.

        Each identity is in three of them at most: where all look alike, the pairs would be beyond counting.
        """
        own = self._alike[np.arange(len(self._names)), self._owner]
        own = own[np.isfinite(own)]
        usual = float(np.median(own)) if len(own) else 1.0
        between = np.maximum.reduceat(self._alike, self._starts, axis=0)
        np.fill_diagonal(between, -np.inf)
        pairs = np.argwhere(np.triu(np.maximum(between, between.T) >= usual, 1))
        order = sorted(map(tuple, pairs.tolist()), key=lambda pair: -max(between[pair], between[pair[::-1]]))
        listed = Counter[int]()
        for one, other in order:
            first, second = self._identities[one], self._identities[other]
            key, members = f"duplicate {first} {second}", self._state.members
            if max(listed[first], listed[second]) >= _DUPLICATES or key in self._state.accepted:
                continue
            if self._seen_together(members[first], members[second]):
                continue
            listed.update((first, second))
            similarity = max(between[one, other], between[other, one])
            yield Finding(
                key=key,
                kind="duplicate",
                message=f"persons {first} and {second} look alike ({similarity:.2f}), never seen together",
                tracklets=(),
                identities=(first, second),
                frame=None,
                corrections=(Correction(f"person {second} is person {first}", Merge(source=second, into=first)),),
            )
