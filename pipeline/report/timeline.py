"""Timeline of the tracklets: bars in as few lanes as possible."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.pages.palette import identity_colour
from pipeline.report.people import Strip
from pipeline.report.records import clock

_TICKS = 5
_GAP = 0.004  # of the flight: between two bars of a lane


@dataclass(frozen=True)
class Bar:
    """A tracklet.

    Attributes:
        left, width: in percent of the flight.
        colour: of its identity, CSS; "" without one.
        person: the identity's number; None without one.
        title: what it is, in words.

    """

    left: float
    width: float
    colour: str
    person: int | None
    title: str


@dataclass(frozen=True)
class Timeline:
    """The tracklets of a flight.

    Attributes:
        lanes: bars that do not touch, in order of time.
        ticks: clock times from the flight's begin to its end, evenly.

    """

    lanes: tuple[tuple[Bar, ...], ...]
    ticks: tuple[str, ...]


def timeline(strips: Sequence[Strip], begin_s: float, seconds: float) -> Timeline:
    """The bars of `strips`, in order of time, of a flight that begins at `begin_s` and lasts `seconds`."""
    whole = max(seconds, 1e-3)
    lanes: list[list[Bar]] = []
    ends: list[float] = []
    for strip in strips:
        begin, end = ((time - begin_s) / whole for time in (strip.begin_s, strip.end_s))
        lane = next((place for place, last in enumerate(ends) if last + _GAP <= begin), len(lanes))
        if lane == len(lanes):
            lanes.append([])
            ends.append(0.0)
        ends[lane] = end
        lanes[lane].append(_bar(strip, begin, end, begin_s))
    ticks = (clock(whole * tick / (_TICKS - 1)) for tick in range(_TICKS))
    return Timeline(tuple(map(tuple, lanes)), tuple(ticks))


def _bar(strip: Strip, begin: float, end: float, begin_s: float) -> Bar:
    person = strip.label if isinstance(strip.label, int) else None
    what = f"identity {person}" if person is not None else strip.label or "no label yet"
    when = f"{clock(strip.begin_s - begin_s)} to {clock(strip.end_s - begin_s)}"
    colour = identity_colour(person) if person is not None else ""
    return Bar(100 * begin, 100 * max(end - begin, 0.002), colour, person, f"{strip.tracklet}: {what}, {when}")
