"""The columns of telemetry tables: names and units of our own format and of the logs of flight apps."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.telemetry.records import COLUMNS

TIME, RECORDING = "time", "recording"
# What a column means by its name without unit, the names that are preferred first: of a table with the angles of
# aircraft and gimbal, those of the gimbal are the camera's.
_MEANINGS: Mapping[str, Sequence[str]] = {
    TIME: ("time", "seconds", "osd.flytime"),
    RECORDING: ("isvideo", "camera.isvideo", "custom.isvideo"),
    "altitude_m": ("height_above_takeoff", "osd.height", "rel_alt", "relative_altitude", "altitude"),
    "latitude": ("latitude", "lat", "osd.latitude"),
    "longitude": ("longitude", "lon", "lng", "long", "osd.longitude"),
    "heading_deg": ("gimbal_heading", "gimbal_yaw", "gb_yaw", "gimbal.yaw", "heading"),
    "pitch_deg": ("gimbal_pitch", "gb_pitch", "gimbal.pitch", "pitch"),
}
_SECONDS = {"s": 1.0, "sec": 1.0, "second": 1.0, "seconds": 1.0}
_PARTS = {"ms": 1e-3, "millisecond": 1e-3, "milliseconds": 1e-3, "us": 1e-6, "microseconds": 1e-6}
_METRES = {"m": 1.0, "meter": 1.0, "meters": 1.0, "metre": 1.0, "metres": 1.0}
_DEGREES = {"deg": 1.0, "degree": 1.0, "degrees": 1.0, "°": 1.0}
_UNITS: Mapping[str, Mapping[str, float]] = {
    TIME: _SECONDS | _PARTS,
    "altitude_m": _METRES | {"ft": 0.3048, "feet": 0.3048, "foot": 0.3048},
    **dict.fromkeys(("latitude", "longitude", "heading_deg", "pitch_deg"), _DEGREES),
}
_WITH_UNIT = re.compile(r"(.+?)\s*[(\[]\s*([^()\[\]]+?)\s*[)\]]|(.+)_(s|ms|us|m|ft|deg)")
KNOWN = "time or time_ms, altitude or altitude_ft (above the take-off), latitude, longitude, heading, pitch"


@dataclass(frozen=True)
class Column:
    """One column that is read.

    Attributes:
        meaning: one of `COLUMNS`, `TIME` or `RECORDING`.
        name: as the table has it.
        at: its place in a row.
        scale: what a number is multiplied with.

    """

    meaning: str
    name: str
    at: int
    scale: float


class ColumnError(ValueError):
    """The columns of a table cannot be understood."""


def find_columns(header: Sequence[str]) -> dict[str, Column]:
    """The columns that are read, by meaning.

    Raises:
        ColumnError: two columns have one name.

    """
    found: dict[str, tuple[int, Column]] = {}
    for at, name in enumerate(header):
        known = _meaning(name)
        if known is None:
            continue
        meaning, rank, scale = known
        other = found.get(meaning)
        if other and other[0] == rank:
            raise ColumnError(f"columns {other[1].name!r} and {name!r} both give {meaning}; keep one of them")
        if not other or rank < other[0]:
            found[meaning] = (rank, Column(meaning, name, at, scale))
    return {meaning: column for meaning, (_, column) in found.items()}


def is_telemetry(columns: Mapping[str, Column]) -> bool:
    """Whether these columns are those of a telemetry."""
    return TIME in columns and any(name in columns for name in COLUMNS)


def _meaning(name: str) -> tuple[str, int, float] | None:
    """Meaning of a column, rank of its name among those of this meaning, and scale of its unit."""
    plain = " ".join(name.lower().split())
    match = _WITH_UNIT.fullmatch(plain)
    base, unit = (match[1] or match[3], match[2] or match[4]) if match else (plain, "")
    if match and match[1] in ("heading", "pitch"):
        return None  # of the aircraft: flight apps call the camera's gimbal_heading and gimbal_pitch
    for meaning, names in _MEANINGS.items():
        if base in names and (not unit or unit in _UNITS.get(meaning, {})):
            return meaning, names.index(base), _UNITS[meaning][unit] if unit else 1.0
    return None
