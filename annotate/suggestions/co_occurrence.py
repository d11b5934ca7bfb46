"""Co-occurrence: tracklets that are in one frame, and so cannot be one person."""

from bisect import bisect_left
from collections.abc import Callable, Iterator

from annotate.log.state import State
from annotate.operations import Seen, flight_of
from annotate.records import Box, overlap

_ONE_PERSON = 0.3  # of the smaller box; two boxes with this overlap may be one person, detected twice


class CoOccurrence:
    """Co-occurrence of tracklets; `box` gives the box of a detection of a flight."""

    def __init__(self, box: Callable[[str, Seen], Box]) -> None:
        self._box = box

    def frame(self, state: State, first: str, second: str) -> int | None:
        """The first frame that shows the two tracklets apart from each other; None where there is none.

        A detector may find a person twice, say with and without the legs: two tracklets that overlap in all
        frames that they share may be one person.
        """
        flight = flight_of(first)
        if flight != flight_of(second):
            return None
        for one, other in _shared(state.tracklets[first], state.tracklets[second]):
            if overlap(self._box(flight, one), self._box(flight, other)) < _ONE_PERSON:
                return one.frame
        return None


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
