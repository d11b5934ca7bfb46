"""The error that a flight failed with, kept in its folder until a run of it ends well."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.workspace.atomic import read_json, write_json

FAILED = ".failed.json"
_LONGEST = 1000  # letters of an error


@contextmanager
def recorded(flight: Path) -> Iterator[None]:
    """Record an error that leaves the block in the folder `flight`; without one, remove the record."""
    try:
        yield
    except Exception as error:
        text = " ".join(str(error).split())[:_LONGEST] or type(error).__name__
        with suppress(OSError):  # the disk may be full: the error itself says so
            write_json(flight / FAILED, {"error": text, "time": datetime.now(UTC).isoformat(timespec="seconds")})
        raise
    (flight / FAILED).unlink(missing_ok=True)


def failure(flight: Path) -> str:
    """The error that the last run of `flight` failed with; "" if it did not."""
    content: Any = read_json(flight / FAILED) or {}
    return str(content.get("error", ""))
