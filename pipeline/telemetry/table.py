"""Telemetry as a CSV: `time,altitude,latitude,longitude,heading,pitch`; all but time optional, empty if unknown.

Time is in seconds from the beginning of the video, altitude in metres above take-off, angles in degrees: heading
clockwise from north, pitch 0 level and -90 straight down.
"""

import csv
import math
from collections.abc import Iterable

from pipeline.telemetry.records import impossible

_NAMES = {
    "altitude": "altitude_m",
    "altitude_m": "altitude_m",
    "latitude": "latitude",
    "longitude": "longitude",
    "heading": "heading_deg",
    "heading_deg": "heading_deg",
    "pitch": "pitch_deg",
    "pitch_deg": "pitch_deg",
}
_TIMES = ("time", "time_s")


class TableError(ValueError):
    """A line is not as expected; the text begins with its number."""


def is_telemetry(header: str) -> bool:
    """Whether `header`, the first line of a CSV, is that of a telemetry."""
    names = {name.strip().lower() for name in header.lstrip("\ufeff").split(",")}
    return bool(names & set(_TIMES)) and bool(names & set(_NAMES))


def read_rows(lines: Iterable[str]) -> tuple[list[float], list[dict[str, float]]]:
    """Times in seconds, and what is known at each by column.

    Raises:
        TableError: a line is not as it should be.

    """
    times: list[float] = []
    samples: list[dict[str, float]] = []
    reader = csv.reader(lines)
    try:
        header = [name.strip().lower().removeprefix("\ufeff") for name in next(reader, [])]
        if not is_telemetry(",".join(header)):
            raise TableError("line 1: expected the columns time and altitude, latitude or longitude")
        for row in reader:
            if not row:
                continue
            if len(row) != len(header):
                raise TableError(f"line {reader.line_num}: {len(row)} values, expected {len(header)}")
            values = {
                name: _number(text, name, reader.line_num)
                for name, text in zip(header, row, strict=True)
                if text.strip() and (name in _NAMES or name in _TIMES)
            }
            time = next((values[name] for name in _TIMES if name in values), None)
            if time is None:
                raise TableError(f"line {reader.line_num}: no time, expected seconds")
            sample = {_NAMES[name]: value for name, value in values.items() if name in _NAMES}
            wrong = impossible(sample)
            if wrong:
                raise TableError(f"line {reader.line_num}: {wrong}")
            times.append(time)
            samples.append(sample)
    except csv.Error as error:
        raise TableError(f"line {reader.line_num}: {error}") from None
    return times, samples


def _number(text: str, name: str, line: int) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise TableError(f"line {line}: {name} is {text[:40]!r}, expected a number")
    return value
