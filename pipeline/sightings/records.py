"""The record of a sighting."""

from dataclasses import dataclass
from datetime import datetime
from math import cos, hypot, radians
from statistics import median
from typing import NamedTuple

from pipeline.telemetry.position import METRES_A_DEGREE
from pipeline.telemetry.wall_clock import in_utc

Position = tuple[float, float]  # degrees north and east, WGS 84


class Step(NamedTuple):
    """A point of a path: seconds as the video has them; degrees north and east, WGS 84."""

    time_s: float
    latitude: float
    longitude: float


def _metres(one: Step, other: Step) -> float:
    east = (other.longitude - one.longitude + 180) % 360 - 180
    return METRES_A_DEGREE * hypot(other.latitude - one.latitude, east * cos(radians(one.latitude)))


@dataclass(frozen=True)
class Sighting:
    """A tracklet with time and place.

    Attributes:
        tracklet: its name, as "flight01/7".
        flight: the flight's name.
        identity: the number of the labelled identity; None without one.
        name: of the identity; "" without one.
        mark: the label that is no identity: "open", "skipped", "junk" or "distractor"; "" for an identity.
        first_frame, last_frame: of the tracklet.
        begin_s, end_s: seconds, as the video has them.
        begin, end: by the wall clock of `zone`; None where no source says it.
        clock: the source of the wall clock, as `WallClock.source`; "" without one.
        zone: as `WallClock.zone`; "" without a wall clock.
        position: of the person on the ground, the median of the tracklet; None where it is not known.
        drone: position of the drone, the median of the tracklet; None where it is not known.
        radius_m: of the circle around `position` that holds 90 % of its errors, as `circle_radii`; None without.
        path: of the person on the ground, a step for each second: the median of the second.
        places: names of the places that `path` is within, in the order in which it reaches them.
        boxes: number of detections.
        crop: the best one, relative to the workspace; None where there is none.
        suspect: number of detections in frames that may be wrong, after damage to the video.
        tags: of the identity.
        note: what a labeller wrote about the identity; "" without one.

    """

    tracklet: str
    flight: str
    identity: int | None
    name: str
    mark: str
    first_frame: int
    last_frame: int
    begin_s: float
    end_s: float
    begin: datetime | None
    end: datetime | None
    clock: str
    zone: str
    position: Position | None
    drone: Position | None
    radius_m: float | None
    path: tuple[Step, ...]
    boxes: int
    crop: str | None
    suspect: int
    tags: tuple[str, ...] = ()
    note: str = ""
    places: tuple[str, ...] = ()

    @property
    def person(self) -> str:
        """The identity, or the mark, in words."""
        return f"{self.identity} {self.name}".strip() if self.identity is not None else self.mark

    @property
    def speed_m_s(self) -> float | None:
        """Speed over the ground: the median of those over 2 s of the path, or over all of a shorter one.

        None below a second. It is some 0.1 m/s for a person who does not move, because positions have errors.
        """
        apart = min(2, len(self.path) - 1)
        pairs = zip(self.path, self.path[apart:], strict=False) if apart > 0 else ()
        speeds = [_metres(one, other) / (other.time_s - one.time_s) for one, other in pairs]
        return round(median(speeds), 2) if speeds else None

    @property
    def begin_utc(self) -> datetime | None:
        """`begin` in UTC, with its zone; None where the time or its zone is not known."""
        return None if self.begin is None else in_utc(self.begin, self.zone)

    @property
    def end_utc(self) -> datetime | None:
        """`end` in UTC, with its zone; None where the time or its zone is not known."""
        return None if self.end is None else in_utc(self.end, self.zone)
