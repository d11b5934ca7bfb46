"""Co-occurrence: tracklets that are in one frame, apart from each other, and so cannot be one person."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from annotate.log.state import State
from annotate.operations import Seen, flight_of
from annotate.records import Box, overlap

_ONE_PERSON = 0.3  # of the smaller box; two boxes with this overlap may be one person, detected twice
_FAR = 1.0  # heights of the larger box; boxes with a gap as wide as this are never of one person


_Content = tuple[Seen, ...]


class Meeting(NamedTuple):
    """A frame that shows tracklet `one` and tracklet `other` apart from each other."""

    one: str
    other: str
    frame: int


class CoOccurrence:
    """Co-occurrence of tracklets; `box` gives the box of a detection of a flight."""

    def __init__(self, box: Callable[[str, Seen], Box]) -> None:
        self._box = box
        self._pairs: dict[str, tuple[list[_Content], NDArray[np.bool_]]] = {}  # by flight
        self._known: dict[tuple[str, str], tuple[_Content, _Content, int | None]] = {}

    def first(self, state: State, some: Iterable[str], others: Iterable[str]) -> Meeting | None:
        """The first frame that shows one of `some` and one of `others` apart, of the first such pair; else None."""
        for one, other in product(some, others):
            frame = self.frame(state, one, other)
            if frame is not None:
                return Meeting(one, other, frame)
        return None

    def pairs(self, state: State, names: Sequence[str]) -> NDArray[np.bool_]:
        """Which of `names`, tracklets of one flight, were seen apart from each other in a frame: bool (n, n)."""
        order = sorted(range(len(names)), key=names.__getitem__)
        contents = [state.tracklets[names[place]] for place in order]
        flight = flight_of(names[0]) if names else ""
        known, found = self._pairs.get(flight, ([], np.zeros((0, 0), np.bool_)))
        if len(known) != len(contents) or any(one is not other for one, other in zip(known, contents, strict=True)):
            found = self._apart_pairs(state, [names[place] for place in order])
            self._pairs[flight] = contents, found
        places = np.argsort(order)
        return found[np.ix_(places, places)]

    def _apart_pairs(self, state: State, names: Sequence[str]) -> NDArray[np.bool_]:
        contents = [state.tracklets[name] for name in names]
        first, last = (np.array([content[end].frame for content in contents]) for end in (0, -1))
        found = np.zeros((len(names), len(names)), np.bool_)
        for one, other in np.argwhere(np.triu((first[:, None] <= last) & (first <= last[:, None]), 1)).tolist():
            found[one, other] = found[other, one] = self.frame(state, names[one], names[other]) is not None
        return found

    def frame(self, state: State, first: str, second: str) -> int | None:
        """The first frame that shows the two tracklets apart from each other; None where there is none.

        A detector may find a person twice, say with and without the shadow: two tracklets that overlap in at least
        half of the frames that they share may be one person, unless a frame shows them far apart.
        """
        flight = flight_of(first)
        if flight != flight_of(second):
            return None
        pair = (first, second) if first < second else (second, first)
        one, other = (state.tracklets[name] for name in pair)
        if one[-1].frame < other[0].frame or other[-1].frame < one[0].frame:
            return None
        known = self._known.get(pair)
        if known is None or known[0] is not one or known[1] is not other:
            known = self._known[pair] = (one, other, self._apart(flight, one, other))
        return known[2]

    def _apart(self, flight: str, first: _Content, second: _Content) -> int | None:
        apart, on_each_other = [], 0
        for one, other in _shared(first, second):
            here, there = self._box(flight, one), self._box(flight, other)
            if _far(here, there):
                return one.frame
            if overlap(here, there) < _ONE_PERSON:
                apart.append(one.frame)
            else:
                on_each_other += 1
        return apart[0] if len(apart) > on_each_other else None


def _far(one: Box, other: Box) -> bool:
    """Whether the gap between two boxes is as wide as the larger one is high."""
    gap = max(max(one[0], other[0]) - min(one[2], other[2]), max(one[1], other[1]) - min(one[3], other[3]))
    return gap >= _FAR * max(one[3] - one[1], other[3] - other[1])


def _shared(one: _Content, other: _Content) -> Iterator[tuple[Seen, Seen]]:
    """The detections of two tracklets in the frames that both are in."""
    if len(one) > len(other):
        one, other = other, one
    for seen in one:
        at = bisect_left(other, seen.frame, key=lambda each: each.frame)
        if at < len(other) and other[at].frame == seen.frame:
            yield seen, other[at]
