"""Rows of COCO's JSON files: ids, boxes and numbers, checked one by one."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from detector.annotations.account import Account
from detector.errors import DetectorError
from detector.files import read_regular

_FARTHEST = 1e9  # px


def read_json(path: Path, expected: str) -> Any:
    """The content of the JSON file `path`; `expected` says in an error what it should have been.

    Raises:
        DetectorError: it cannot be read, or is not JSON.

    """
    try:
        return json.loads(read_regular(path))
    except OSError as error:
        raise DetectorError(f"{path}: cannot be read: {error.strerror}") from None
    except json.JSONDecodeError as error:
        raise DetectorError(
            f"{path}: not {expected}: not JSON from line {error.lineno}, column {error.colno} on"
        ) from None
    except UnicodeDecodeError:
        raise DetectorError(f"{path}: not {expected}: not a text file in UTF-8") from None
    except (ValueError, RecursionError):
        raise DetectorError(
            f"{path}: not {expected}: a number too long, or too many brackets in brackets"
        ) from None


def key_of(value: Any) -> str | None:
    """An id as text, equal for 1, 1.0 and "1", which tools write for each other; None if `value` is no id."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else None
    try:
        return str(value)
    except ValueError:  # more digits than Python writes
        return None


def by_id(rows: list[dict[str, Any]], kind: str, place: str) -> dict[str, dict[str, Any]]:
    """`rows` by the key of their id, in their order.

    Raises:
        DetectorError: a row has no id, or two have the same.

    """
    found: dict[str, dict[str, Any]] = {}
    for number, row in enumerate(rows, start=1):
        key = key_of(row.get("id"))
        if key is None:
            raise DetectorError(
                f"{place}: {kind} {number} has id {shown(row.get('id'))}; expected a whole number or a text"
            )
        if key in found:
            raise DetectorError(f"{place}: two of the {kind} have id {key}; expected each id once")
        found[key] = row
    return found


def look_up(
    row: Mapping[str, Any], field: str, listed: Mapping[str, Mapping[str, Any]], account: Account
) -> str | None:
    """The key of `row[field]` if it is an id in `listed`, else None; a text for a number gets a note."""
    value = row.get(field)
    key = key_of(value)
    if key is None or key not in listed:
        return None
    if isinstance(value, str) != isinstance(listed[key].get("id"), str):
        account.notes[f"times {field} is a text and the listed id a number, or the reverse; read as the same"] += 1
    return key


def shown(value: Any) -> str:
    """`value` as JSON has it, shortened."""
    try:
        return json.dumps(value, ensure_ascii=False)[:60]
    except (ValueError, TypeError, RecursionError):
        return "…"


def read_bbox(row: dict[str, Any], place: str) -> list[float]:
    """`row["bbox"]`, left, top, width and height in px; `place` is the beginning of an error.

    Raises:
        DetectorError: not four numbers, or too large for pixels.

    """
    box = row.get("bbox")
    numbers = [read_number(value) for value in box] if isinstance(box, list) else []
    if len(numbers) != 4 or not all(abs(value) < _FARTHEST for value in numbers):
        raise DetectorError(f"{place} has bbox {str(box)[:60]}; expected [left, top, width, height] in px")
    return numbers


def read_number(value: Any) -> float:
    """`value` of a JSON file; NaN if it is not a number, or too large for a float."""
    try:
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    except OverflowError:
        return math.nan
