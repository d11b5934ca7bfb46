"""Sightings of a person drawn as maps: their paths, paths of the drones, scale bar; north is up.

Sightings without a position are on maps of their own, one for each flight's plane.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
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
        centre: of the map, in words; "" in a flight's plane, which is nowhere on the globe.
        plane: of which flight, and which piece of it, this is the own plane, in words; "" where north is up.

    """

    traces: tuple[Trace, ...]
    flights: dict[str, str]
    bar: float
    bar_text: str
    centre: str
    plane: str = ""


@dataclass(frozen=True)
class _Spot:
    """A sighting in metres right of an origin, and above it.

    Attributes:
        number: of the sighting, from 1.
        sighting: itself.
        place: of its median.
        path: its path.

    """

    number: int
    sighting: Sighting
    place: Point
    path: tuple[Point, ...]

    @property
    def radius(self) -> float:
        """Of its circle, metres; 0 where it is not known."""
        return self.sighting.radius_m or 0.0


@dataclass(frozen=True)
class _Drawing:
    """Metres to pixels.

    Attributes:
        centre: metres right of the origin, and above it.
        scale: pixels a metre.

    """

    centre: Point
    scale: float

    def __call__(self, place: Point) -> Point:
        """The pixel of `place`, which is in metres."""
        right, up = place[0] - self.centre[0], place[1] - self.centre[1]
        return round(WIDTH / 2 + self.scale * right, 1), round(HEIGHT / 2 - self.scale * up, 1)


def make_maps(sightings: Sequence[Sighting], flights: Mapping[str, Sequence[Position]]) -> tuple[Map, ...]:
    """The map of `sightings`, and one for each plane of a flight with some that have no position.

    Args:
        sightings: of one person, in order; maps have their numbers, from 1.
        flights: positions of the drone by flight, in order of time.

    """
    return tuple(filter(None, (make_map(sightings, flights), *_planes(sightings))))


def make_map(sightings: Sequence[Sighting], flights: Mapping[str, Sequence[Position]]) -> Map | None:
    """The map of `sightings` by positions; None where no position of the person is known.

    Args:
        sightings: as in `make_maps`.
        flights: as there.

    """
    placed = [(number, each) for number, each in enumerate(sightings, 1) if each.position is not None]
    origin = next((each.position for _, each in placed if each.position), None)
    if origin is None:
        return None
    spots = [
        _Spot(
            number,
            each,
            _metres(each.position or origin, origin),
            tuple(_metres((step.latitude, step.longitude), origin) for step in each.path),
        )
        for number, each in placed
    ]
    drones = (_metres(each.drone, origin) for _, each in placed if each.drone)
    drawing = _fitting(spots, [place for place in drones if hypot(*place) < _NEAR_M])
    paths = {
        name: _points(drawing(_metres(place, origin)) for place in path)
        for name, path in flights.items()
        if len(path) > 1
    }
    across = METRES_A_DEGREE * cos(radians(origin[0]))
    centre = origin[0] + drawing.centre[1] / METRES_A_DEGREE, origin[1] + drawing.centre[0] / across
    bar, text = _bar(drawing)
    return Map(_traces(spots, drawing), paths, bar, text, centre=f"{centre[0]:.5f}, {centre[1]:.5f}")


def _planes(sightings: Sequence[Sighting]) -> Iterator[Map]:
    planes: dict[tuple[str, int], list[_Spot]] = {}
    for number, each in enumerate(sightings, 1):
        if each.plane is not None and each.position is None:
            x, y, piece = each.plane
            path = tuple((step.x_m, -step.y_m) for step in each.plane_path)
            planes.setdefault((each.flight, piece), []).append(_Spot(number, each, (x, -y), path))
    for (flight, piece), spots in planes.items():
        drawing = _fitting(spots, [])
        bar, text = _bar(drawing)
        plane = flight if piece == 1 else f"{flight}, piece {piece}"
        yield Map(_traces(spots, drawing), {}, bar, f"about {text}", centre="", plane=plane)


def drone_path(folder: Path) -> list[Position]:
    """A position of the drone for each second of a flight; none without telemetry."""
    frames = read_rows(folder / FRAMES.output, ["frame", "pts_s"])
    if frames is None or not {"latitude", "longitude"} <= set(frames):
        return []
    known = frames.dropna(subset=["latitude", "longitude", "pts_s"]).sort_values("pts_s")
    firsts = known.groupby(known["pts_s"].floordiv(1))[["latitude", "longitude"]].first()
    return [(float(north), float(east)) for north, east in firsts.to_numpy()]


def _fitting(spots: Sequence[_Spot], others: Sequence[Point]) -> _Drawing:
    """The largest scale at which paths, circles and `others` are inside of the margin."""
    reach = [(place, each.radius) for each in spots for place in (each.place, *each.path)]
    reach += [(place, 0.0) for place in others]
    left, right = min(x - r for (x, _), r in reach), max(x + r for (x, _), r in reach)
    low, high = min(y - r for (_, y), r in reach), max(y + r for (_, y), r in reach)
    scale = min(
        (WIDTH - 2 * _MARGIN) / max(right - left, _LEAST_M), (HEIGHT - 2 * _MARGIN) / max(high - low, _LEAST_M)
    )
    return _Drawing(((left + right) / 2, (low + high) / 2), scale)


def _traces(spots: Sequence[_Spot], drawing: _Drawing) -> tuple[Trace, ...]:
    return tuple(_trace(each, drawing) for each in spots)


def _trace(spot: _Spot, drawing: _Drawing) -> Trace:
    begin = spot.sighting.begin
    when = f", {begin:%H:%M:%S}" if begin else ""
    return Trace(
        number=spot.number,
        title=f"{spot.number}: {spot.sighting.tracklet}{when}",
        place=drawing(spot.place),
        radius=round(spot.radius * drawing.scale, 1),
        points=_points(map(drawing, spot.path)) if len(spot.path) > 1 else "",
    )


def _bar(drawing: _Drawing) -> tuple[float, str]:
    """Length of the scale bar in pixels, and what it stands for."""
    metres = _round_below(_BAR / drawing.scale)
    text = f"{metres:g} m" if metres < 1000 else f"{metres / 1000:g} km"
    return round(metres * drawing.scale, 1), text


def _metres(place: Position, origin: Position) -> Point:
    """Metres east and north of `origin`, equirectangular: true to scale within a few kilometres."""
    east = (place[1] - origin[1] + 180) % 360 - 180
    return east * METRES_A_DEGREE * cos(radians(origin[0])), (place[0] - origin[0]) * METRES_A_DEGREE


def _points(places: Iterable[Point]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in places)


def _round_below(value: float) -> float:
    """The largest of 1, 2, 5, 10, 20 … that is not larger."""
    power = 10.0 ** floor(log10(value))
    return max(step * power for step in (1, 2, 5) if step * power <= value)
