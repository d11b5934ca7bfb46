"""Telemetry as a CSV: `time,altitude,latitude,longitude,heading,pitch`; all but time optional, empty if unknown.

Time is in seconds from the beginning of the video, altitude in metres above take-off, angles in degrees: heading
clockwise from north, pitch 0 level and -90 straight down. `columns.py` has other units and the names of flight
apps. Their logs are of a whole flight: where a column says when the camera recorded, the video begins there.
"""

import csv
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from pipeline.telemetry.columns import KNOWN, RECORDING, TIME, Column, ColumnError, find_columns, is_telemetry
from pipeline.telemetry.records import COLUMNS, checked

_DELIMITERS = ",;\t"
_RECORDS = {"1": True, "true": True, "yes": True, "recording": True}
_RECORDS |= {"": False, "0": False, "false": False, "no": False}


class TableError(ValueError):
    """A line is not as expected; the text begins with its number."""


@dataclass
class Rows:
    """What a table says.

    Attributes:
        times: seconds of each sample from the beginning of the video.
        samples: values by column.
        unused: names of columns that are not read.
        left_out: rows from before or after the recording.

    """

    times: list[float] = field(default_factory=list)
    samples: list[dict[str, float]] = field(default_factory=list)
    unused: tuple[str, ...] = ()
    left_out: int = 0


def has_telemetry(lines: Iterable[str]) -> bool:
    """Whether `lines` begin with the header of a telemetry."""
    try:
        return is_telemetry(_open(iter(lines))[1])
    except (TableError, ColumnError, csv.Error):
        return False


def read_rows(lines: Iterable[str]) -> Rows:
    """Times in seconds, and what is known at each by column.

    Raises:
        TableError: a line is not as it should be.

    """
    rest = iter(lines)
    try:
        header, columns, delimiter, skipped = _open(rest)
    except (ColumnError, csv.Error) as error:
        raise TableError(f"line 1: {error}") from None
    try:
        if not is_telemetry(columns):
            raise TableError(f"line 1: expected the columns time and altitude, latitude or longitude ({KNOWN})")
        read = {column.at for column in columns.values()}
        rows = Rows(unused=tuple(name for at, name in enumerate(header) if at not in read and name))
        reader = csv.reader(rest, delimiter=delimiter)
        recorded = []
        for row in reader:
            if not row:
                continue
            line = reader.line_num + skipped
            if len(row) != len(header):
                raise TableError(f"line {line}: {len(row)} values, expected {len(header)}")
            recorded.append(_records(columns.get(RECORDING), row, line))
            rows.times.append(_time(columns[TIME], row, line))
            rows.samples.append(_sample([columns[name] for name in COLUMNS if name in columns], row, line))
    except csv.Error as error:
        raise TableError(f"line {reader.line_num + skipped}: {error}") from None
    return _of_the_recording(rows, recorded) if RECORDING in columns else rows


def _open(lines: Iterator[str]) -> tuple[list[str], dict[str, Column], str, int]:
    """Header, columns, delimiter, and how many lines were read."""
    first, count = next(lines, "").removeprefix("\ufeff"), 1
    if first.lower().startswith("sep="):
        first, count = next(lines, ""), 2
    delimiter = max(_DELIMITERS, key=first.count)
    header = [name.strip() for name in next(csv.reader([first], delimiter=delimiter), [])]
    return header, find_columns(header), delimiter, count


def _time(column: Column, row: Sequence[str], line: int) -> float:
    text = row[column.at].strip()
    if not text:
        raise TableError(f"line {line}: no time, expected seconds")
    return _number(text, column.name, line) * column.scale


def _sample(columns: Sequence[Column], row: Sequence[str], line: int) -> dict[str, float]:
    sample, wrong = checked(
        {
            column.meaning: _number(row[column.at].strip(), column.name, line) * column.scale
            for column in columns
            if row[column.at].strip()
        }
    )
    if wrong:
        raise TableError(f"line {line}: {wrong}")
    return sample


def _records(column: Column | None, row: Sequence[str], line: int) -> bool:
    text = row[column.at].strip().lower() if column else ""
    if text not in _RECORDS:
        raise TableError(f"line {line}: {column.name if column else ''} is {text[:40]!r}, expected 0 or 1")
    return _RECORDS[text]


def _number(text: str, name: str, line: int) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise TableError(f"line {line}: {name} is {text[:40]!r}, expected a number")
    return value


def _of_the_recording(rows: Rows, recorded: Sequence[bool]) -> Rows:
    """The rows of the one recording, on its own clock.

    Raises:
        TableError: there is none, or it is not known which of several is the video's.

    """
    runs = [list(run) for records, run in groupby(range(len(recorded)), recorded.__getitem__) if records]
    if len(runs) != 1:
        raise TableError(
            f"line 1: a log of a flight with {len(runs)} recordings; "
            "keep the rows of the one that is this video, with its column that says so"
        )
    (run,) = runs
    begin = rows.times[run[0]]
    return Rows(
        [rows.times[at] - begin for at in run],
        [rows.samples[at] for at in run],
        rows.unused,
        len(recorded) - len(run),
    )
