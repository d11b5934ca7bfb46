"""Rebuilding damaged labels from the text beside the database, and from what can be read of the database.

Each operation is taken from where it is as it was written: its hash covers all operations before it. So a gap in
one copy is closed by the other, and nothing that was changed gets in.
"""

import shutil
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from annotate.errors import AnnotateError, Refused
from annotate.files import TEXT_LOG, sync_file, sync_folder, temporary_beside
from annotate.log.history import Entry
from annotate.log.lines import parse_line, read_head
from annotate.log.migrate import VERSION, dated
from annotate.log.store import LabelStore
from annotate.log.text_log import TextLog, text_log_of
from annotate.operations import read_operation

_Rows = dict[int, tuple[Entry, str]]  # number -> the operation, and its hash


@dataclass(frozen=True)
class Recovered:
    """The result.

    Attributes:
        from_text: operations that the text holds.
        from_database: operations that only the database holds.
        lost: known operations at the end whose hash fits nothing before them.
        kept: the damaged database, under another name; None: nothing was damaged, nothing was changed.

    """

    from_text: int
    from_database: int
    lost: int
    kept: Path | None


@dataclass(frozen=True)
class _Copy:
    """What can be read of one copy of the labels; `sound`: that is all of it."""

    rows: _Rows
    sound: bool


def recover(path: Path) -> Recovered:
    """Rebuild the labels in `path` and the text beside them; the damaged files are kept under a dated name.

    Raises:
        AnnotateError: nothing can be read, or the labels are of a newer version; nothing was changed.

    """
    target, log = path.resolve(), text_log_of(path)
    if not target.exists() and not log.exists():
        raise AnnotateError(f"{path}: no such file, and no {log.name} beside it; there is nothing to recover")
    with TextLog(path).locked():  # nobody is answered a decision meanwhile
        text = _read_text(log)
        database = _read_database(target, max(text.rows, default=0))
        entries = max(_chained(text.rows, database.rows), _chained(database.rows, text.rows), key=len)
        last = max([*text.rows, *database.rows], default=0)
        in_text, in_database = (sum(_has(rows, each) for each in entries) for rows in (text.rows, database.rows))
        if text.sound and database.sound and in_text == in_database == last:
            return Recovered(in_text, 0, 0, None)
        if not entries:
            raise AnnotateError(f"{path}: no operation can be read, here or in {log.name}; restore a copy of both")
        kept = _rebuild(target, log, entries)
    return Recovered(in_text, len(entries) - in_text, last - len(entries), kept)


def _has(rows: _Rows, entry: Entry) -> bool:
    found = rows.get(entry.sequence)
    return found is not None and found[0] == entry


def _chained(first: _Rows, second: _Rows) -> list[Entry]:
    """The operations from the first on, as far as each is as it was written; where both are, from `first`."""
    entries: list[Entry] = []
    chain = ""
    for number in count(1):
        for rows in (first, second):
            entry, stored = rows.get(number, (None, ""))
            if entry is not None and entry.chained(chain) == stored:
                entries.append(entry)
                chain = stored
                break
        else:
            return entries
    raise AssertionError


def _read_text(log: Path) -> _Copy:
    lines = log.read_bytes().split(b"\n")
    rows, sound = _Rows(), not lines.pop()
    try:
        read_head(str(log), lines[0] if lines else b"")
    except AnnotateError:
        sound = False
    for line in lines[1:]:
        try:
            entry, stored = parse_line("", line)
        except AnnotateError:
            sound = False
        else:
            rows[entry.sequence] = (entry, stored)
    return _Copy(rows, sound and list(rows) == list(range(1, len(lines))))


def _read_database(path: Path, least: int) -> _Copy:
    """The rows that can be read, each by itself; `least`: at least so many were there."""
    with temporary_beside(path) as copy:  # as it is, for the write-ahead log is taken in where it is opened
        for suffix in ("", "-wal", "-journal"):
            with suppress(FileNotFoundError):
                shutil.copyfile(_beside(path, suffix), _beside(copy, suffix))
        if not copy.exists():
            return _Copy({}, sound=False)
        with closing(sqlite3.connect(copy)) as connection:
            newest = _number(connection, "PRAGMA user_version")
            if newest is not None and newest > VERSION:
                raise AnnotateError(f"{path}: labels of format {newest}, this uavpipe knows {VERSION}")
            highest = _number(connection, "SELECT max(sequence) FROM operations")
            rows, sound = _Rows(), highest is not None and _is_sound(connection)
            for number in count(1):
                try:
                    row = _read_row(connection, number)
                except (sqlite3.DatabaseError, AnnotateError):
                    row, sound = None, False
                if row is not None:
                    rows[number] = row
                elif number > max(least, highest or 0):
                    return _Copy(rows, sound)
    raise AssertionError


def _read_row(connection: sqlite3.Connection, number: int) -> tuple[Entry, str] | None:
    found = connection.execute(
        "SELECT id, user, time, operation, hash FROM operations WHERE sequence = ?", (number,)
    ).fetchone()
    if found is None:
        return None
    identifier, user, time, operation, stored = found
    return Entry(number, identifier, user, time, read_operation(operation)), stored


def _number(connection: sqlite3.Connection, question: str) -> int | None:
    try:
        return int(connection.execute(question).fetchone()[0] or 0)
    except (sqlite3.DatabaseError, ValueError):
        return None


def _is_sound(connection: sqlite3.Connection) -> bool:
    try:
        return bool(connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",))
    except sqlite3.DatabaseError:
        return False


def _rebuild(path: Path, log: Path, entries: list[Entry]) -> Path:
    """Replace both files by new ones with `entries`; a kill at any moment leaves all of them in one file."""
    kept = dated(path, "damaged")
    with temporary_beside(path) as temporary:
        try:
            with LabelStore(temporary) as store:
                store.take_log(entries)
        except Refused as error:
            raise AnnotateError(f"{path}: {error}; restore a copy") from None
        for suffix in ("", "-wal", "-journal", TEXT_LOG):
            with suppress(FileNotFoundError):
                shutil.copyfile(_beside(path, suffix), _beside(kept, suffix))
                sync_file(_beside(kept, suffix))
        sync_folder(path.parent)
        text_log_of(temporary).replace(log)  # first: from here on it has everything
        sync_folder(path.parent)
        for suffix in ("-wal", "-shm", "-journal"):  # they would be applied to the new file
            _beside(path, suffix).unlink(missing_ok=True)
        temporary.replace(path)
        sync_folder(path.parent)
    return kept


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
