"""Sightings for map programs: GPX 1.1, KML 2.2 and Cursor on Target.

- GPX 1.1, http://www.topografix.com/GPX/1/1: a waypoint for each sighting, and a track where there is a path.
- KML 2.2, OGC 07-147r2: a folder for each person; a point, the circle and the path of each sighting.
- Cursor on Target, event 2.0 (MITRE MP090284, 2009): an event for each sighting, one in a line, as TAK servers read
  them. `ce` is the circle's radius. The heights are not known, which is 9999999.

All times are UTC. Where only the drone's position is known, GPX and KML have that, and say so; an event would claim
that the person is there, so there is none.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from math import cos, pi, radians, sin
from typing import Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from pipeline.sightings.records import Position, Sighting
from pipeline.telemetry.position import METRES_A_DEGREE

_GPX, _KML = "http://www.topografix.com/GPX/1/1", "http://www.opengis.net/kml/2.2"
_CORNERS = 36  # of a circle
_UNKNOWN = "9999999.0"  # as CoT writes what is not known
_STALE = timedelta(minutes=5)  # after the last time that the person was seen
_FORBIDDEN = dict.fromkeys({*range(32), 65534, 65535} - {9, 10, 13}, "�")  # XML 1.0, 2.2
_FORBIDDEN |= dict.fromkeys(range(0xD800, 0xE000), "\N{REPLACEMENT CHARACTER}")
Records = Sequence[Mapping[str, Any]]


def as_gpx(sightings: Sequence[Sighting], records: Records) -> str:
    """GPX of the sightings that have a place."""
    root = Element("gpx", {"xmlns": _GPX, "version": "1.1", "creator": "uavpipe"})
    shown = _with_place(sightings, records)
    for sighting, record, place in shown:
        point = _add(root, "wpt", **_degrees(place))
        _stamp(point, sighting.begin_utc)
        _add(point, "name", _name(sighting))
        _add(point, "desc", _description(record))
        _add(point, "type", "person" if sighting.position else "drone")
    for sighting, _, _ in shown:
        if len(sighting.path) > 1:
            track = _add(root, "trk")
            _add(track, "name", _name(sighting))
            segment = _add(track, "trkseg")
            for step in sighting.path:
                point = _add(segment, "trkpt", **_degrees((step.latitude, step.longitude)))
                _stamp(point, _moment(sighting, step.time_s))
    return _text(root)


def as_kml(sightings: Sequence[Sighting], records: Records) -> str:
    """KML of the sightings that have a place, in folders by person."""
    root = Element("kml", {"xmlns": _KML})
    document = _add(root, "Document")
    _add(document, "name", "Sightings by uavpipe")
    shown = sorted(_with_place(sightings, records), key=lambda each: _order(each[0]))
    for person, members in groupby(shown, key=lambda each: _person(each[0])):
        folder = _add(document, "Folder")
        _add(folder, "name", person)
        for sighting, record, place in members:
            _placemark(folder, sighting, record, place)
    return _text(root)


def as_cot(sightings: Sequence[Sighting], records: Records) -> str:
    """An event of Cursor on Target in each line, for the sightings with a time and a position of the person."""
    lines = []
    for sighting, record in zip(sightings, records, strict=True):
        begin, end = sighting.begin_utc, sighting.end_utc
        if sighting.position is None or begin is None or end is None:
            continue
        times = {"time": _iso(end), "start": _iso(begin), "stale": _iso(end + _STALE)}
        event = Element(
            "event",
            {
                "version": "2.0",
                "uid": f"uavpipe/{_clean(sighting.tracklet)}",
                "type": "a-u-G",
                "how": "m-f",
                **times,
            },
        )
        circle = _UNKNOWN if sighting.radius_m is None else f"{sighting.radius_m:.1f}"
        _add(event, "point", **_degrees(sighting.position), hae=_UNKNOWN, ce=circle, le=_UNKNOWN)
        detail = _add(event, "detail")
        _add(detail, "contact", callsign=_clean(_name(sighting)))
        _add(detail, "remarks", _description(record))
        lines.append(tostring(event, "unicode"))
    return "\n".join(lines)


def _with_place(
    sightings: Sequence[Sighting], records: Records
) -> list[tuple[Sighting, Mapping[str, Any], Position]]:
    placed = ((each, record, each.position or each.drone) for each, record in zip(sightings, records, strict=True))
    return [(each, record, place) for each, record, place in placed if place is not None]


def _order(sighting: Sighting) -> tuple[bool, int, str]:
    return sighting.identity is None, sighting.identity or 0, sighting.person


def _placemark(folder: Element, sighting: Sighting, record: Mapping[str, Any], place: Position) -> None:
    mark = _add(folder, "Placemark")
    _add(mark, "name", _name(sighting))
    _add(mark, "description", _description(record))
    if sighting.begin_utc is not None and sighting.end_utc is not None:
        span = _add(mark, "TimeSpan")
        _add(span, "begin", _iso(sighting.begin_utc))
        _add(span, "end", _iso(sighting.end_utc))
    data = _add(mark, "ExtendedData")
    for name, value in {"position": "person" if sighting.position else "drone", **record}.items():
        if value not in (None, ""):
            _add(_add(data, "Data", name=name), "value", str(value))
    shapes = _add(mark, "MultiGeometry")
    _add(_add(shapes, "Point"), "coordinates", _coordinates([place]))
    if len(sighting.path) > 1:
        steps = [(step.latitude, step.longitude) for step in sighting.path]
        _add(_add(shapes, "LineString"), "coordinates", _coordinates(steps))
    if sighting.position and sighting.radius_m is not None:
        ring = _add(_add(_add(shapes, "Polygon"), "outerBoundaryIs"), "LinearRing")
        _add(ring, "coordinates", _coordinates(circle(sighting.position, sighting.radius_m)))


def circle(place: Position, radius_m: float) -> list[Position]:
    """A closed ring of places, anticlockwise, `radius_m` away from `place`."""
    north, east = radius_m / METRES_A_DEGREE, radius_m / METRES_A_DEGREE / max(cos(radians(place[0])), 1e-6)
    turns = [2 * pi * corner / _CORNERS for corner in range(_CORNERS)]
    ring = [(place[0] + north * sin(turn), place[1] + east * cos(turn)) for turn in turns]
    return [*ring, ring[0]]


def _person(sighting: Sighting) -> str:
    return f"person {sighting.person}" if sighting.identity is not None else sighting.person


def _name(sighting: Sighting) -> str:
    return f"{_person(sighting)}, {sighting.tracklet}"


def _description(record: Mapping[str, Any]) -> str:
    wanted: dict[str, Callable[[Any], str]] = {
        "begin": lambda value: f"seen from {value}",
        "end": lambda value: f"to {value}",
        "zone": str,
        "radius_m": lambda value: f"90 % circle: {value} m",
        "score": lambda value: f"score {value}",
        "crop": lambda value: f"picture: {value}",
    }
    return "; ".join(say(record[name]) for name, say in wanted.items() if record.get(name) not in (None, ""))


def _moment(sighting: Sighting, time_s: float) -> datetime | None:
    begin = sighting.begin_utc
    return None if begin is None else begin + timedelta(seconds=time_s - sighting.begin_s)


def _stamp(parent: Element, moment: datetime | None) -> None:
    if moment is not None:
        _add(parent, "time", _iso(moment))


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def _degrees(place: Position) -> dict[str, str]:
    return {"lat": f"{place[0]:.7f}", "lon": f"{_wrapped(place[1]):.7f}"}


def _coordinates(places: Sequence[Position]) -> str:
    return " ".join(f"{_wrapped(longitude):.7f},{latitude:.7f}" for latitude, longitude in places)


def _wrapped(longitude: float) -> float:
    return (longitude + 180) % 360 - 180


def _clean(text: str) -> str:
    """`text` without what XML cannot have."""
    return text.translate(_FORBIDDEN)


def _add(parent: Element, tag: str, text: str | None = None, **attributes: str) -> Element:
    element = SubElement(parent, tag, attributes)
    element.text = None if text is None else _clean(text)
    return element


def _text(root: Element) -> str:
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, "unicode")
