"""The log of operations as JSON lines, to keep, to send and to compare.

The first line says what it is and how many operations follow, each later line is one of them, with a hash over
itself and all before it: nothing can be changed, left out or cut off unnoticed.
"""

from collections.abc import Sequence
from pathlib import Path

from annotate.errors import AnnotateError, Refused
from annotate.files import read_regular, temporary_beside, write_text
from annotate.log.history import Entry
from annotate.log.lines import parse_line, read_head, write_head, write_line
from annotate.log.store import LabelStore
from annotate.log.text_log import text_log_of


def write_log(path: Path, entries: Sequence[Entry]) -> None:
    """Write `entries`, a log from its beginning, to `path` atomically."""
    lines = [write_head(len(entries))]
    chain = ""
    for entry in entries:
        chain = entry.chained(chain)
        lines.append(write_line(entry, chain))
    write_text(path, "\n".join(lines) + "\n")


def read_log(path: Path) -> list[Entry]:
    """The entries in `path`.

    Raises:
        AnnotateError: not a log, of a newer version, cut off, or changed; names the line and the field.

    """
    try:
        lines = read_regular(path).split(b"\n")
    except OSError as error:
        raise AnnotateError(f"{path}: cannot be read: {error.strerror}") from None
    expected = read_head(str(path), lines[0])
    if expected is None or not lines[-1]:
        lines.pop()  # nothing behind the last newline, or the torn line of a text that grows
    entries: list[Entry] = []
    chain = ""
    for number, line in enumerate(lines[1:], start=2):
        entry, chain = _read_row(f"{path} line {number}", line, chain)
        if entry.sequence != len(entries) + 1:
            raise AnnotateError(f"{path} line {number}: operation {entry.sequence}, expected {len(entries) + 1}")
        entries.append(entry)
    if expected is not None and len(entries) != expected:
        raise AnnotateError(
            f"{path}: {len(entries)} operations, expected {expected}: cut off; export the log again"
        )
    return entries


def _read_row(where: str, line: bytes, before: str) -> tuple[Entry, str]:
    entry, stored = parse_line(where, line)
    chain = entry.chained(before)
    if chain != stored:
        raise AnnotateError(f"{where}: not as it was written, or a line before it is missing; export the log again")
    return entry, chain


def replay(log: Path, out: Path) -> int:
    """Rebuild the labels in `out` from the text `log`; `out` appears when all is done.

    Returns:
        The number of operations.

    Raises:
        AnnotateError: as `read_log`, an operation cannot follow, or `out` exists.

    """
    for file in (out, text_log_of(out)):
        if file.exists():
            raise AnnotateError(f"{file}: already exists; choose another name or remove it")
    entries = read_log(log)
    with temporary_beside(out) as temporary:
        try:
            with LabelStore(temporary) as store:
                store.take_log(entries)
        except Refused as error:
            raise AnnotateError(f"{log}: {error}") from None
        temporary.replace(out)
        text_log_of(temporary).replace(text_log_of(out))
    return len(entries)
