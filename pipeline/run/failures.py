"""The error that a flight failed with, kept in its folder until a run of it ends well."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.workspace.atomic import read_json, write_json
from pipeline.workspace.folders import FAILED, has_results

_LONGEST = 1000  # letters of an error


@contextmanager
def recorded(flight: Path, *, alone: bool) -> Iterator[None]:
    """Record an error that leaves the block in the folder `flight`; without one, remove the record.

    A flight without any result that is run `alone` is not recorded: its error is the last line of the command.
    """
    try:
        yield
    except ImportError:
        raise  # of this machine, not of the flight
    except Exception as error:
        if alone and not has_results(flight):
            raise
        text = " ".join(str(error).split())[:_LONGEST] or type(error).__name__
        with suppress(OSError):  # the disk may be full: the error itself says so
            write_json(flight / FAILED, {"error": text, "time": datetime.now(UTC).isoformat(timespec="seconds")})
        raise
    (flight / FAILED).unlink(missing_ok=True)


def failure(flight: Path) -> str:
    """The error that the last run of `flight` failed with; "" if it did not."""
    content: Any = read_json(flight / FAILED) or {}
    return str(content.get("error", ""))
