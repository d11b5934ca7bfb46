"""Co-occurrence: tracklets that are in one frame, apart from each other, and so cannot be one person."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from itertools import product
from typing import NamedTuple

from annotate.log.state import State
from annotate.operations import Seen, flight_of
from annotate.records import Box, overlap

_ONE_PERSON = 0.3  # of the smaller box; two boxes with this overlap may be one person, detected twice
_FAR = 1.0  # heights of the larger box; boxes with a gap as wide as this are never of one person


class Meeting(NamedTuple):
    """A frame that shows tracklet `one` and tracklet `other` apart from each other."""

    one: str
    other: str
    frame: int


class CoOccurrence:
    """Co-occurrence of tracklets; `box` gives the box of a detection of a flight."""

    def __init__(self, box: Callable[[str, Seen], Box]) -> None:
        self._box = box

    def first(self, state: State, some: Iterable[str], others: Iterable[str]) -> Meeting | None:
        """The first frame that shows one of `some` and one of `others` apart, of the first such pair; else None."""
        for one, other in product(some, others):
            frame = self.frame(state, one, other)
            if frame is not None:
                return Meeting(one, other, frame)
        return None

    def frame(self, state: State, first: str, second: str) -> int | None:
        """The first frame that shows the two tracklets apart from each other; None where there is none.

        A detector may find a person twice, say with and without the shadow: two tracklets that overlap in at least
        half of the frames that they share may be one person, unless a frame shows them far apart.
        """
        flight = flight_of(first)
        if flight != flight_of(second):
            return None
        apart, on_each_other = [], 0
        for one, other in _shared(state.tracklets[first], state.tracklets[second]):
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


def _shared(one: tuple[Seen, ...], other: tuple[Seen, ...]) -> Iterator[tuple[Seen, Seen]]:
    """The detections of two tracklets in the frames that both are in."""
    if one[-1].frame < other[0].frame or other[-1].frame < one[0].frame:
        return
    if len(one) > len(other):
        one, other = other, one
    for seen in one:
        at = bisect_left(other, seen.frame, key=lambda each: each.frame)
        if at < len(other) and other[at].frame == seen.frame:
            yield seen, other[at]
