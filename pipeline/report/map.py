"""The map on a person's page: paths of the sightings, paths of the drones, scale bar; north is up."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import cos, floor, hypot, log10, radians
from pathlib import Path

from pipeline.chain.table import FRAMES
from pipeline.sightings.records import Position, Sighting
from pipeline.telemetry.position import METRES_A_DEGREE
from pipeline.workspace.tables import read_rows

WIDTH, HEIGHT = 640, 400  # of the drawing; pixels, where the page is as wide
_MARGIN = 48
_LEAST_M = 20.0  # a person who stands still is shown with this much around
_NEAR_M = 200.0  # a drone that is nearer is on the map, too
_BAR = 160  # longest scale bar
Point = tuple[float, float]


@dataclass(frozen=True)
class Trace:
    """A sighting on the map.

    Attributes:
        number: of the sighting, from 1.
        title: what it is, in words.
        place: of its median.
        radius: of its circle; 0 where it is not known.
        points: of its path, for `points` of a polyline; "" for a single one.

    """

    number: int
    title: str
    place: Point
    radius: float
    points: str


@dataclass(frozen=True)
class Map:
    """A map; pixels of a drawing of `WIDTH` x `HEIGHT`, origin top left.

    Attributes:
        traces: sightings.
        flights: name of a flight -> its path, for `points` of a polyline.
        bar: length of the scale bar.
        bar_text: what it stands for.
        centre: of the map, in words.

    """

    traces: tuple[Trace, ...]
    flights: dict[str, str]
    bar: float
    bar_text: str
    centre: str


@dataclass(frozen=True)
class Projection:
    """Degrees to pixels, equirectangular about `centre`: true to scale within a few kilometres.

    Attributes:
        centre: degrees north and east.
        scale: pixels a metre.

    """

    centre: Position
    scale: float

    def __call__(self, place: Position) -> Point:
        """The pixel of `place`."""
        east, north = _metres(place, self.centre)
        return round(WIDTH / 2 + self.scale * east, 1), round(HEIGHT / 2 - self.scale * north, 1)


def make_map(sightings: Sequence[Sighting], flights: Mapping[str, Sequence[Position]]) -> Map | None:
    """The map of `sightings`, by their numbers; None where no position of the person is known.

    Args:
        sightings: of one person, in order.
        flights: positions of the drone by flight, in order of time.

    """
    placed = [(number, each) for number, each in enumerate(sightings, 1) if each.position is not None]
    if not placed:
        return None
    project = _fitting([each for _, each in placed])
    traces = tuple(_trace(number, each, project) for number, each in placed)
    bar_m = _round_below(_BAR / project.scale)
    return Map(
        traces=traces,
        flights={name: _points(map(project, path)) for name, path in flights.items() if len(path) > 1},
        bar=round(bar_m * project.scale, 1),
        bar_text=f"{bar_m:g} m" if bar_m < 1000 else f"{bar_m / 1000:g} km",
        centre=f"{project.centre[0]:.5f}, {project.centre[1]:.5f}",
    )


def drone_path(folder: Path) -> list[Position]:
    """A position of the drone for each second of a flight; none without telemetry."""
    frames = read_rows(folder / FRAMES.output, ["frame", "pts_s"])
    if frames is None or not {"latitude", "longitude"} <= set(frames):
        return []
    known = frames.dropna(subset=["latitude", "longitude", "pts_s"]).sort_values("pts_s")
    firsts = known.groupby(known["pts_s"].floordiv(1))[["latitude", "longitude"]].first()
    return [(float(north), float(east)) for north, east in firsts.to_numpy()]


def _fitting(sightings: Sequence[Sighting]) -> Projection:
    """The largest scale at which paths, circles and nearby drones are inside of the margin."""
    first = sightings[0].position or (0.0, 0.0)
    reach = [
        (_metres(place, first), each.radius_m or 0.0)
        for each in sightings
        for place in [each.position, *_path(each)]
        if place
    ]
    drones = (_metres(each.drone, first) for each in sightings if each.drone)
    reach += [(place, 0.0) for place in drones if hypot(*place) < _NEAR_M]
    west, east = min(x - r for (x, _), r in reach), max(x + r for (x, _), r in reach)
    south, north = min(y - r for (_, y), r in reach), max(y + r for (_, y), r in reach)
    scale = min(
        (WIDTH - 2 * _MARGIN) / max(east - west, _LEAST_M), (HEIGHT - 2 * _MARGIN) / max(north - south, _LEAST_M)
    )
    across = METRES_A_DEGREE * cos(radians(first[0]))
    centre = first[0] + (south + north) / 2 / METRES_A_DEGREE, first[1] + (west + east) / 2 / across
    return Projection(centre, scale)


def _trace(number: int, sighting: Sighting, project: Projection) -> Trace:
    path = [project(place) for place in _path(sighting)]
    when = f", {sighting.begin:%H:%M:%S}" if sighting.begin else ""
    assert sighting.position is not None
    return Trace(
        number=number,
        title=f"{number}: {sighting.tracklet}{when}",
        place=project(sighting.position),
        radius=round((sighting.radius_m or 0.0) * project.scale, 1),
        points=_points(path) if len(path) > 1 else "",
    )


def _path(sighting: Sighting) -> list[Position]:
    return [(step.latitude, step.longitude) for step in sighting.path]


def _metres(place: Position, origin: Position) -> Point:
    east = (place[1] - origin[1] + 180) % 360 - 180
    return east * METRES_A_DEGREE * cos(radians(origin[0])), (place[0] - origin[0]) * METRES_A_DEGREE


def _points(places: Iterable[Point]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in places)


def _round_below(value: float) -> float:
    """The largest of 1, 2, 5, 10, 20 … that is not larger."""
    power = 10.0 ** floor(log10(value))
    return max(step * power for step in (1, 2, 5) if step * power <= value)
