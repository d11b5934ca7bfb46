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


class PlanePlace(NamedTuple):
    """A place in a flight's own plane: see `pipeline.sightings.plane`.

    Attributes:
        x_m, y_m: metres right of the centre of the first frame of the piece, and below it.
        piece: of the flight, from 1.

    """

    x_m: float
    y_m: float
    piece: int


class PlaneStep(NamedTuple):
    """A point of a path in a flight's own plane: seconds as the video has them, metres right and down."""

    time_s: float
    x_m: float
    y_m: float


def _metres(one: Step | PlaneStep, other: Step | PlaneStep) -> float:
    if not isinstance(one, Step) or not isinstance(other, Step):
        return hypot(other[1] - one[1], other[2] - one[2])
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
        plane: of the person in the flight's own plane, the median of the tracklet, where `position` is not known;
            None where that is not known either.
        plane_path: there, a step for each second as in `path`.
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
    plane: PlanePlace | None = None
    plane_path: tuple[PlaneStep, ...] = ()

    @property
    def person(self) -> str:
        """The identity, or the mark, in words."""
        return f"{self.identity} {self.name}".strip() if self.identity is not None else self.mark

    @property
    def speed_m_s(self) -> float | None:
        """Speed over the ground: the median of those over 2 s of the path, or over all of a shorter one.

        None below a second. It is not 0 for a person who does not move, because positions have errors.
        Without positions it is that of `plane_path`, which is approximate.
        """
        path: tuple[Step | PlaneStep, ...] = self.path or self.plane_path
        apart = min(2, len(path) - 1)
        pairs = zip(path, path[apart:], strict=False) if apart > 0 else ()
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
