"""Proposals: answers that are probably right, each with the chance that it is wrong.

The chances are those of logistic regression on how a tracklet compares with the known people (`_compare`). It
begins with what is usual, and the decisions of the workspace change it: each labelled tracklet is compared with the
others, or with those that were labelled before it where the question is whether somebody is new, and what was
decided is the answer. What was taken out of a batch was wrong. So it follows how well the descriptors tell these
people apart, and how often somebody is new.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from annotate.log.state import State
from annotate.operations import Answer, Mark, flight_of
from annotate.suggestions.co_occurrence import CoOccurrence
from annotate.suggestions.suggest import Suggester

BOUND = 0.2  # chance of error up to which an answer is proposed
_WHOLE = 0.7  # least unity of a tracklet that surely shows one person; see `Suggester.unity`
_NOBODY = -1.0  # similarity where there is nobody to compare with
_LIKENESS, _LENGTH = 0.8, 10  # from which likeness and length, in detections, are counted
_WEIGHT = 0.3  # of what is usual, in the units of one over the coefficients squared
_STEPS = 12  # of Newton's method

# The columns of the evidence, and for each answer its usual weights in the log odds. Similarities are -1 to 1;
# below 0 they say no more than 0.
_COLUMNS = (
    "constant",
    "first",  # similarity to the most similar person
    "over second",  # by which it is more than that to the next one
    "over rival",  # and than that of others, seen together with the tracklet, to the first
    "known here",  # the first is known in this flight
    "here",  # similarity to the most similar person who is known in this flight
    "elsewhere",  # and to the most similar of the others
    "others",  # there are others
    "junk",  # similarity to the most similar tracklet that is no person
    "likeness",  # to a person, by score and height
    "length",  # logarithm of the number of detections
)
_Kind = Literal["same", "new", "junk"]
_USUAL: Mapping[_Kind, tuple[float, ...]] = {
    "same": (-5.5, 3.5, 4.0, 7.0, 0.5, 0.0, 0.0, 0.0, -1.0, 3.0, 0.5),
    "new": (3.6, 0.0, 0.0, 0.0, 0.0, -6.0, -9.0, -2.5, -2.0, 14.0, 0.5),
    "junk": (-3.0, -4.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 4.0, -8.0, -0.5),
}


class Proposal(NamedTuple):
    """A probable answer for a tracklet without a label: an identity, a new one, or no person.

    `error` is the chance that it is wrong; `like` the known person to compare with, None without any.
    """

    tracklet: str
    answer: int | Literal["new", "junk"]
    error: float
    like: int | None


def propose(
    state: State,
    names: Sequence[str],
    decided: Callable[[str], int],
    suggester: Suggester,
    together: CoOccurrence,
    likeness: Callable[[str], float],
) -> list[Proposal]:
    """Answers that are probably right, the surest first; at most one for each tracklet.

    Args:
        state: the labels.
        names: the tracklets without a label that may get a proposal.
        decided: gives the number of the operation that labelled a tracklet.
        suggester: gives the similarity of tracklets.
        together: says which tracklets were seen together.
        likeness: of a tracklet to a person; see `annotate.suggestions.likeness`.

    """
    suggester.follow(state)
    known = _Known(state, decided)
    refused = {name: answer for name, answer in state.taken_out.items() if state.labels[name] is Mark.OPEN}
    flights: dict[str, list[str]] = defaultdict(list)
    for name in (*known.names, *names, *refused):
        flights[flight_of(name)].append(name)

    now: dict[str, _Compared] = {}
    then: dict[str, _Compared] = {}  # with those alone that were labelled before
    for those in flights.values():
        likely = [likeness(name) - _LIKENESS for name in those]
        length = [np.log10(len(state.tracklets[name]) / _LENGTH) for name in those]
        facts = _facts(state, those, known, suggester, together)
        for found, earlier in ((now, False), (then, True)):
            first, rows = _compare(those, known, facts, earlier)
            rows[:, _COLUMNS.index("likeness")] = likely
            rows[:, _COLUMNS.index("length")] = length
            found |= zip(those, map(_Compared, first, rows), strict=True)
    weights = {answer: _learn(answer, known, then if answer == "new" else now, refused) for answer in _USUAL}
    proposed = [_surest(name, now[name], weights) for name in names]
    sure = [each for each in proposed if each.error <= BOUND and suggester.unity(each.tracklet) >= _WHOLE]
    return sorted(sure, key=lambda each: (each.error, each.tracklet))


class _Compared(NamedTuple):
    """The most similar person that a tracklet could be, 0 without any; and the evidence, float64 (columns,)."""

    first: int
    evidence: NDArray[np.float64]


def _surest(name: str, compared: _Compared, weights: Mapping[_Kind, NDArray[np.float64]]) -> Proposal:
    first, evidence = compared
    odds = {kind: float(evidence @ those) for kind, those in weights.items() if first or kind != "same"}
    kind = max(odds, key=lambda each: odds[each])
    error = float(_chance(np.array(-odds[kind])))
    return Proposal(name, first if kind == "same" else kind, error, None if kind == "junk" else first or None)


class _Known:
    """The labelled tracklets: group by group those of each identity, and those that are no persons."""

    def __init__(self, state: State, decided: Callable[[str], int]) -> None:
        groups = {each: sorted(state.members[each]) for each in state.people()}
        junk = sorted(name for name, label in state.labels.items() if label is Mark.JUNK)
        if junk:
            groups[0] = junk
        self.labels = np.array(list(groups), np.int64)  # 0: no person
        self.names = [name for names in groups.values() for name in names]
        self.group = np.repeat(np.arange(len(groups)), [len(names) for names in groups.values()])
        self.starts = np.searchsorted(self.group, np.arange(len(groups)))
        self.flights = np.array([flight_of(name) for name in self.names])
        self.decided = np.array([decided(name) for name in self.names], np.int64)


class _Facts(NamedTuple):
    """How tracklets of one flight compare with each other and the labelled ones, which are first, in their order.

    Attributes:
        here: bool (known,); the labelled ones of this flight.
        pairs: bool (n, n); which were seen apart from each other in a frame.
        alike: float32 (n, known); similarity to the labelled ones.

    """

    here: NDArray[np.bool_]
    pairs: NDArray[np.bool_]
    alike: NDArray[np.float32]


def _facts(
    state: State, names: Sequence[str], known: _Known, suggester: Suggester, together: CoOccurrence
) -> _Facts | None:
    """Of tracklets of one flight; None where nothing is labelled. The arguments are those of `propose`."""
    if not known.names:
        return None
    here = known.flights == flight_of(names[0])
    return _Facts(here, together.pairs(state, names), _alike(names, known, here, suggester))


def _compare(
    names: Sequence[str], known: _Known, facts: _Facts | None, earlier: bool
) -> tuple[list[int], NDArray[np.float64]]:
    """How tracklets of one flight compare with the labelled ones.

    Args:
        names: the tracklets, those of `known` in its order first.
        known: the labelled tracklets.
        facts: of `names`.
        earlier: compare each labelled tracklet with those labelled before it; else with all others.

    Returns:
        As in `_Compared`, of each; evidence (n, columns).

    """
    rows = np.arange(len(names))
    found = dict.fromkeys(_COLUMNS, np.zeros(len(names))) | {"constant": np.ones(len(names))}
    if facts is None:
        return [0] * len(names), np.stack(list(found.values()), axis=1)
    here, pairs, alike = facts
    count = int(here.sum())
    before = np.full((len(names), len(known.names)), True)
    if earlier:
        before[:count] = known.decided < known.decided[here][:, None]
    before[rows[:count], np.flatnonzero(here)] = False  # itself
    apart = np.zeros(before.shape, np.bool_)
    apart[:, here] = pairs[:, :count]

    def of_groups(values: NDArray[np.bool_]) -> NDArray[np.bool_]:
        return np.logical_or.reduceat(values & before, known.starts, axis=1)

    similar = np.maximum.reduceat(np.where(before, alike, _NOBODY), known.starts, axis=1)
    found["junk"] = similar[:, known.labels == 0].max(axis=1, initial=0.0)
    similar[of_groups(apart)] = _NOBODY
    similar[:, known.labels == 0] = _NOBODY
    best = similar.argmax(axis=1)
    first = similar[rows, best]
    there = of_groups(np.broadcast_to(here, before.shape))
    elsewhere = np.where(there, _NOBODY, similar).max(axis=1)
    found["known here"] = there[rows, best] & (first > _NOBODY)
    found["here"] = np.where(there, similar, 0.0).max(axis=1, initial=0.0)
    found["elsewhere"] = elsewhere.clip(min=0)
    found["others"] = elsewhere > _NOBODY
    similar[rows, best] = _NOBODY
    ends = np.append(known.starts[1:], len(known.names))
    rival = [
        (alike[pairs[row], start:end] * before[row, start:end]).max(initial=0.0)
        for row, start, end in zip(rows, known.starts[best], ends[best], strict=True)
    ]
    found["first"] = first.clip(min=0)
    found["over second"] = found["first"] - similar.max(axis=1).clip(min=0)
    found["over rival"] = found["first"] - np.array(rival)
    labels = np.where(first > _NOBODY, known.labels[best], 0)
    return labels.tolist(), np.stack(list(found.values()), axis=1).astype(np.float64)


def _alike(
    names: Sequence[str], known: _Known, here: NDArray[np.bool_], suggester: Suggester
) -> NDArray[np.float32]:
    """The similarity of tracklets of one flight, and of those of `known`; those of it that are `here` come first.

    A labelled tracklet is compared by what the other half of the people teach, for its own person's labels make it
    seem more similar to them than it was; the others by both halves, so that they are measured alike.
    """
    halves = [suggester.alike(names, known.names, half) for half in (0, 1)]
    alike = (halves[0] + halves[1]) / 2
    labels = known.labels[known.group[here]]
    for half in (0, 1):
        others = np.flatnonzero(labels % 2 != half)
        alike[others] = halves[half][others]
    return np.asarray(alike, np.float32)


def _learn(
    kind: _Kind, known: _Known, compared: Mapping[str, _Compared], refused: Mapping[str, Answer]
) -> NDArray[np.float64]:
    """The weights of one kind of answer, from what is usual, what was decided and what was taken out of batches."""
    created = np.minimum.reduceat(known.decided, known.starts) if known.names else known.decided
    outcomes: list[tuple[str, bool]] = []
    for name, group, decided in zip(known.names, known.group.tolist(), known.decided.tolist(), strict=True):
        label, first = int(known.labels[group]), compared[name].first
        if kind == "new":
            outcomes.append((name, label > 0 and decided == created[group]))
        elif kind == "junk":
            outcomes.append((name, label == 0))
        elif first:
            outcomes.append((name, first == label))
    for name, answer in refused.items():
        if answer in (kind, compared[name].first if kind == "same" else None):
            outcomes.append((name, False))
    rows = np.array([compared[name].evidence for name, _ in outcomes]).reshape(-1, len(_COLUMNS))
    return _regress(rows, np.array([right for _, right in outcomes], np.bool_), np.array(_USUAL[kind]))


def _regress(
    rows: NDArray[np.float64], right: NDArray[np.bool_], usual: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Weights (k,) of logistic regression on `rows` (n, k), drawn towards `usual`; by Newton's method.

    A step that makes the loss greater is halved: whole ones may lead there and back, or ever further.
    """
    signs = np.where(right, -1.0, 1.0)

    def loss(weights: NDArray[np.float64]) -> float:
        drawn = _WEIGHT / 2 * np.square(weights - usual).sum()
        return float(np.logaddexp(0, signs * (rows @ weights)).sum() + drawn)

    found = usual.copy()
    for _ in range(_STEPS):
        chance = _chance(rows @ found)
        gradient = rows.T @ (right - chance) - _WEIGHT * (found - usual)
        curvature = rows.T @ (rows * (chance * (1 - chance))[:, None]) + _WEIGHT * np.eye(len(usual))
        step = np.linalg.solve(curvature, gradient)
        while np.abs(step).max() >= 1e-6 and loss(found + step) > loss(found):
            step /= 2
        found += step
        if np.abs(step).max() < 1e-6:
            break
    return found


def _chance(log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-np.clip(log_odds, -50, 50))), np.float64)
