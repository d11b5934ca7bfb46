"""Filters of the queue and the gallery: which tracklets are wanted, by flight, time, label, and likeness."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, time
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from annotate.log.state import State
from annotate.operations import MAX_NAME, Identity, Mark, flight_of

# Flight, and seconds as its video has them -> by the wall clock; None where that is not known.
Moment = Callable[[str, float], datetime | None]
ClockTime = Annotated[str, Field(pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?)?$")]
Kind = Literal["", "person", "open", "skipped", "junk", "distractor"]
_DAY_S = 86400


class Filter(BaseModel):
    """What is wanted; "" and None ask for nothing.

    Attributes:
        flight: name of the flight.
        begin, end: HH:MM or HH:MM:SS, by the wall clock where that of the flight is known, else in the video; the
            second may be after midnight. A tracklet is wanted if any part of it is within.
        kind: of the label; "person": an identity.
        person: for the queue, number of an identity: what is most similar to it comes first, and nothing that was
            seen together with it.

    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    flight: str = Field("", max_length=MAX_NAME)
    begin: ClockTime = ""
    end: ClockTime = ""
    kind: Kind = ""
    person: Identity | None = None

    def wants(self, state: State, tracklet: str, times: tuple[float, float], moment: Moment) -> bool:
        """Whether `tracklet`, which lasts from the first to the second of `times`, is wanted."""
        flight = flight_of(tracklet)
        if self.flight not in ("", flight) or not self._of_kind(state, tracklet):
            return False
        if not self.begin and not self.end:
            return True
        first, last = (_of_day(moment(flight, each), each) for each in times)
        begin = _seconds(self.begin) if self.begin else 0.0
        end = _seconds(self.end) if self.end else _DAY_S - 1.0
        return _meet(first, last, begin, end + 0.999)  # to the end of the second that was named

    def _of_kind(self, state: State, tracklet: str) -> bool:
        label = state.labels[tracklet]
        kind = "person" if not isinstance(label, Mark) else label.value
        return self.kind in ("", kind)


def tags_of(state: State) -> Mapping[str, int]:
    """The tags of the people in `state`, each with the number of people that have it, by tag."""
    found: dict[str, int] = {}
    for number in state.people():
        for tag in state.tags.get(number, ()):
            found[tag] = found.get(tag, 0) + 1
    return dict(sorted(found.items()))


def named(state: State, numbers: Sequence[int], find: str, tag: str) -> list[int]:
    """Those of the identities `numbers` whose number, name, tags or note contain `find`, and that have `tag`."""
    wanted = find.strip().casefold()

    def fits(number: int) -> bool:
        tags = state.tags.get(number, ())
        text = " ".join([str(number), state.identities[number], *tags, state.notes.get(number, "")])
        return wanted in text.casefold() and (not tag or tag in tags)

    return [number for number in numbers if fits(number)]


def _of_day(moment: datetime | None, seconds: float) -> float:
    if moment is None:
        return seconds
    return moment.hour * 3600 + moment.minute * 60 + moment.second + moment.microsecond / 1e6


def _seconds(text: str) -> float:
    clock = time.fromisoformat(text)
    return clock.hour * 3600.0 + clock.minute * 60 + clock.second


def _meet(first: float, last: float, begin: float, end: float) -> bool:
    """Whether two stretches of a day have a time in common; one that ends before it begins is over midnight."""
    one = [(first, last)] if first <= last else [(first, _DAY_S), (0.0, last)]
    other = [(begin, end)] if begin <= end else [(begin, _DAY_S), (0.0, end)]
    return any(a <= d and c <= b for a, b in one for c, d in other)
