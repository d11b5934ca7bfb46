"""Choosing sightings: by person, flight, wall clock and place."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from math import cos, hypot, radians

from annotate.operations import Mark
from pipeline.errors import PipelineError
from pipeline.sightings.records import Position, Sighting
from pipeline.telemetry.position import METRES_A_DEGREE

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Selection:
    """Which sightings are wanted; an empty part asks for nothing.

    Attributes:
        persons: numbers of identities.
        flights: names.
        between: times of day, on any day; the second may be after midnight.
        junk: whether those are wanted that are marked as showing no person.
        near: a place.
        within_m: of which some part of a path is not farther than this, or may be, by its circle.

    """

    persons: tuple[int, ...] = ()
    flights: tuple[str, ...] = ()
    between: tuple[time, time] | None = None
    junk: bool = False
    near: Position | None = None
    within_m: float = 50.0

    def of(self, sightings: Sequence[Sighting]) -> list[Sighting]:
        """The wanted ones of `sightings`, in their order.

        Raises:
            PipelineError: there is no such flight or person.

        """
        for flight in self.flights:
            known = sorted({each.flight for each in sightings})
            if flight not in known:
                raise PipelineError(f"there is no flight {flight}; known: {', '.join(known)}")
        for person in self.persons:
            numbers = sorted({each.identity for each in sightings if each.identity is not None})
            if person not in numbers:
                raise PipelineError(
                    f"there is no person {person}; known: {', '.join(map(str, numbers[:20])) or 'none'}"
                )
        return [each for each in sightings if self._wants(each)]

    def _wants(self, sighting: Sighting) -> bool:
        if sighting.mark == Mark.JUNK and not self.junk:
            return False
        if self.persons and sighting.identity not in self.persons:
            return False
        if self.flights and sighting.flight not in self.flights:
            return False
        if self.near is not None and not _is_near(sighting, self.near, self.within_m):
            return False
        return self.between is None or _meets(sighting, *self.between)


def metres_between(one: Position, other: Position) -> float:
    """Distance of two places on the ground that are a few kilometres apart at most, metres."""
    across = METRES_A_DEGREE * cos(radians((one[0] + other[0]) / 2))
    east = (other[1] - one[1] + 180) % 360 - 180  # the shorter way, also across the 180th degree
    return hypot((other[0] - one[0]) * METRES_A_DEGREE, east * across)


def _is_near(sighting: Sighting, place: Position, within_m: float) -> bool:
    """Whether the person may have been there; False without a position of the person."""
    if sighting.position is None:
        return False
    places = [sighting.position, *((each.latitude, each.longitude) for each in sighting.path)]
    return min(metres_between(place, each) for each in places) <= within_m + (sighting.radius_m or 0.0)


def _meets(sighting: Sighting, first: time, last: time) -> bool:
    """Whether a part of the sighting is between two times of day; False without a wall clock.

    Where the clocks are changed during a sighting, both its begin and its end count with its whole length.
    """
    if sighting.begin is None or sighting.end is None:
        return False
    seconds = timedelta(seconds=max(0.0, sighting.end_s - sighting.begin_s))
    return any(_overlap(begin, begin + seconds, first, last) for begin in {sighting.begin, sighting.end - seconds})


def _overlap(begin: datetime, end: datetime, first: time, last: time) -> bool:
    length = datetime.combine(begin, last) - datetime.combine(begin, first)
    length += _DAY if length < timedelta() else timedelta()
    day = datetime.combine(begin, first) - _DAY
    while day <= end:
        if begin <= day + length:
            return True
        day += _DAY
    return False
