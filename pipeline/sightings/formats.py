"""Sightings as text: a table to read, CSV, JSON and GeoJSON; `maps.py` has the formats of other map programs."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from pipeline.errors import PipelineError
from pipeline.sightings.maps import as_cot, as_gpx, as_kml
from pipeline.sightings.plane import COLUMNS
from pipeline.sightings.records import PlanePlace, Position, Sighting

FORMATS = ("table", "csv", "json", "geojson", "gpx", "kml", "cot")
_MAPS = {"gpx": as_gpx, "kml": as_kml, "cot": as_cot}


def as_record(sighting: Sighting) -> dict[str, Any]:
    """The columns of a sighting, in order; None for what is not known."""
    latitude, longitude = sighting.position or (None, None)
    drone_latitude, drone_longitude = sighting.drone or (None, None)
    plane = dict(zip(COLUMNS, sighting.plane or (None, None, None), strict=True))
    return {
        "tracklet": sighting.tracklet,
        "flight": sighting.flight,
        "person": sighting.identity,
        "name": sighting.name,
        "mark": sighting.mark,
        "begin": _iso(sighting.begin),
        "end": _iso(sighting.end),
        "clock": sighting.clock,
        "zone": sighting.zone,
        "begin_s": round(sighting.begin_s, 3),
        "end_s": round(sighting.end_s, 3),
        "first_frame": sighting.first_frame,
        "last_frame": sighting.last_frame,
        "latitude": latitude,
        "longitude": longitude,
        "radius_m": sighting.radius_m,
        "speed_m_s": sighting.speed_m_s,
        **plane,
        "places": ", ".join(sighting.places),
        "drone_latitude": drone_latitude,
        "drone_longitude": drone_longitude,
        "boxes": sighting.boxes,
        "suspect": sighting.suspect,
        "crop": sighting.crop,
        "tags": ", ".join(sighting.tags),
        "note": sighting.note,
    }


def written(sightings: Sequence[Sighting], form: str) -> str:
    """`sightings` in a format of `FORMATS`, without the last line's end.

    Raises:
        PipelineError: the format has times in UTC, and their zone is not known.

    """
    if form == "table":
        return as_table([short(each) for each in sightings])
    records = [as_record(each) for each in sightings]
    if form in ("csv", "json"):
        return as_csv(records) if form == "csv" else as_json(records)
    return on_map(sightings, records, form)


def on_map(sightings: Sequence[Sighting], records: Sequence[Mapping[str, Any]], form: str) -> str:
    """`sightings` as "geojson", "gpx", "kml" or "cot"; `records` are what is written beside each.

    Places in a flight's own plane are not written: they are nowhere on a map.

    Raises:
        PipelineError: as `written`.

    """
    records = [{name: value for name, value in each.items() if name not in COLUMNS} for each in records]
    if form == "geojson":
        features = [_feature(*each) for each in zip(sightings, records, strict=True)]
        return as_json({"type": "FeatureCollection", "generator": "uavpipe", "features": features})
    local = sorted({each.clock for each in sightings if each.begin is not None and each.begin_utc is None})
    if local:
        raise PipelineError(
            f"--format {form} needs times in UTC, and those by {' and '.join(local)} are local; add their zone, as "
            "--zone Europe/Berlin"
        )
    return _MAPS[form](sightings, records)


def short(sighting: Sighting) -> dict[str, str]:
    """The columns of the table to read."""
    return {
        "tracklet": sighting.tracklet,
        "person": sighting.person,
        "time": _when(sighting),
        "video": f"{sighting.begin_s:.1f}-{sighting.end_s:.1f} s",
        "place": _where(sighting),
        "boxes": f"{sighting.boxes}{f' ({sighting.suspect} suspect)' if sighting.suspect else ''}",
        "crop": sighting.crop or "-",
    }


def as_table(records: Sequence[Mapping[str, str]]) -> str:
    """Texts in aligned columns below their names."""
    if not records:
        return ""
    lines = [list(records[0]), *([*each.values()] for each in records)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def as_csv(records: Sequence[Mapping[str, Any]]) -> str:
    """Records below a line with the names of their columns."""
    if not records:
        return ""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(records[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue().rstrip("\n")


def as_json(content: Any) -> str:
    """`content` as JSON, indented."""
    return json.dumps(content, indent=2, ensure_ascii=False)


def notes(sightings: Iterable[Sighting]) -> list[str]:
    """What a reader of times and places must know: sentences."""
    sightings = list(sightings)
    without = sum(each.begin is None for each in sightings)
    local = sorted({each.clock for each in sightings if each.zone == "unknown"})
    utc = any(each.zone == "UTC" for each in sightings)
    found = []
    if without:
        found.append(f"{without} of {len(sightings)} sightings have no date and time: their video has none")
    if local:
        found.append(f"times by {' and '.join(local)} are the recorder's local time; its zone is not known")
    if utc:
        found.append("times by container are UTC")
    if any(each.radius_m is not None for each in sightings):
        found.append("± is the radius of the circle that holds 90 % of the errors on flat ground; see docs/find.md")
    if any(each.plane is not None for each in sightings):
        found.append(
            "places in the plane are metres right and down of the centre of the flight's first frame, without "
            "telemetry: approximate; see docs/find.md"
        )
    return found


def missing_on_map(sightings: Iterable[Sighting], form: str) -> str:
    """A sentence on the sightings that a map in the format `form` lacks; "" where it has all."""
    sightings = list(sightings)
    shown = sum(each.position is not None or (form != "cot" and each.drone is not None) for each in sightings)
    if shown == len(sightings) or form not in (*_MAPS, "geojson"):
        return ""
    said = "have no point" if form == "geojson" else "are left out"
    return f"{len(sightings) - shown} of {len(sightings)} sightings {said}: no position; see docs/find.md"


def _feature(sighting: Sighting, record: Mapping[str, Any]) -> dict[str, Any]:
    place = sighting.position or sighting.drone
    kind = "person" if sighting.position else "drone" if sighting.drone else None
    point = None if place is None else {"type": "Point", "coordinates": [place[1], place[0]]}
    return {"type": "Feature", "geometry": point, "properties": {"position": kind, **record}}


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="milliseconds")


def _when(sighting: Sighting) -> str:
    if sighting.begin is None:
        return "-"
    return f"{sighting.begin:%Y-%m-%d %H:%M:%S}{' UTC' if sighting.zone == 'UTC' else ''}"


def _where(sighting: Sighting) -> str:
    def text(place: Position) -> str:
        return f"{place[0]:.6f}, {place[1]:.6f}"

    if sighting.position:
        circle = "" if sighting.radius_m is None else f" ± {sighting.radius_m:.0f} m"
        return ", ".join((*sighting.places, f"{text(sighting.position)}{circle}"))
    found = [f"drone at {text(sighting.drone)}"] if sighting.drone else []
    return "; ".join(found + ([_in_plane(sighting.plane)] if sighting.plane else [])) or "-"


def _in_plane(place: PlanePlace) -> str:
    piece = f" {place.piece}" if place.piece > 1 else ""
    return f"plane{piece}: {place.x_m:.1f}, {place.y_m:.1f} m"
