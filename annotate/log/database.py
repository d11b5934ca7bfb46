"""The SQLite file of the log: opening, checking, reading and writing rows."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from annotate.errors import AnnotateError
from annotate.files import temporary_beside
from annotate.log.history import Entry
from annotate.operations import read_operation, write_operation

VERSION = 1  # of the schema; raise it with every change, and migrate older files in `_prepare`
_APPLICATION = 0x75617650  # "uavP" in SQLite's header: this file is ours
_WAIT_S = 30.0  # for another process's transaction, which takes milliseconds

_RESTORE = "it was damaged or changed by hand: restore it from an exported log or a copy"

_SCHEMA = f"""
PRAGMA application_id = {_APPLICATION};
PRAGMA user_version = {VERSION};
CREATE TABLE operations (
    sequence INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    user TEXT NOT NULL,
    time TEXT NOT NULL,
    operation TEXT NOT NULL,
    hash TEXT NOT NULL
) STRICT;
CREATE TRIGGER operations_stay BEFORE UPDATE ON operations
    BEGIN SELECT RAISE(ABORT, 'the log of operations only grows'); END;
CREATE TRIGGER operations_are_kept BEFORE DELETE ON operations
    BEGIN SELECT RAISE(ABORT, 'the log of operations only grows'); END;
CREATE TABLE leases (tracklet TEXT PRIMARY KEY, user TEXT NOT NULL, expires REAL NOT NULL) STRICT;
"""


def connect(path: Path, *, create: bool = True) -> sqlite3.Connection:
    """The database in `path`, in WAL mode, every commit on the disk before it returns.

    Args:
        path: the file.
        create: make one where there is none.

    Raises:
        AnnotateError: it is not there, was emptied, is not ours, newer than this program, or the file system has
            no shared memory.

    """
    if not create and not path.is_file():
        raise AnnotateError(f"{path}: no such file; expected labels, as `labels.sqlite` in a workspace")
    with database_errors(path):
        if not path.exists():
            _make(path.resolve())
        elif not path.stat().st_size:
            raise AnnotateError(
                f"{path}: empty, its labels are lost: restore a copy, or rebuild it from an exported log with "
                "`uavpipe annotate replay LOG --out NEW`; if nothing was ever labelled here, delete it"
            )
        connection = sqlite3.connect(path, timeout=_WAIT_S, isolation_level=None, check_same_thread=False)
        try:
            _prepare(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("PRAGMA trusted_schema = OFF")
    _check_ours(connection, path)  # before anything is written: it might be another program's
    if connection.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
        raise AnnotateError(f"{path}: this file system has no shared memory for SQLite; choose a local disk")
    connection.execute("PRAGMA synchronous = FULL")
    with transaction(connection):
        pass  # SQLite makes its log beside the file only now, and `files_of` looks for both


def _check_ours(connection: sqlite3.Connection, path: Path) -> None:
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if application != _APPLICATION:
        raise AnnotateError(f"{path}: a database, but not of labels; choose another file")
    if version != VERSION:
        raise AnnotateError(
            f"{path}: labels of format {version}, this uavpipe knows {VERSION}; install a newer uavpipe"
        )


def _make(path: Path) -> None:
    """Create an empty database at `path` atomically, so that a file of no bytes is always an emptied one."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(_SCHEMA)
        content = connection.serialize()
    try:
        with temporary_beside(path) as temporary:
            temporary.write_bytes(content)
            _name(temporary, path)
    except OSError as error:
        raise AnnotateError(f"{path}: cannot be created: {error.strerror}") from None


def _name(file: Path, path: Path) -> None:
    """Give `file` the name `path`, unless another process was faster."""
    with suppress(FileExistsError):
        try:
            path.hardlink_to(file)
        except PermissionError:  # no hard links on this disk
            with path.open("xb") as target:
                target.write(file.read_bytes())


def files_of(path: Path) -> list[int | None]:
    """The inodes of the database in `path` and of its write-ahead log: others mean that the file was replaced."""
    target = path.resolve()  # SQLite puts the log of a linked file beside the file itself
    files = (target, target.with_name(f"{target.name}-wal"))
    return [file.stat().st_ino if file.exists() else None for file in files]


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """One transaction, alone among processes; committed at the end, rolled back on an error."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def database_errors(path: Path) -> Iterator[None]:
    """Turn the errors of SQLite and of the disk into one line."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise AnnotateError(f"{path}: cannot be used: {error}") from None
    except sqlite3.DatabaseError as error:
        raise AnnotateError(f"{path}: {error}; {_RESTORE}") from None


def read_rows(connection: sqlite3.Connection, path: Path, after: int, chain: str) -> Iterator[tuple[Entry, str]]:
    """The entries behind number `after`, whose hash is `chain`, each with its own hash, checked one by one.

    Raises:
        AnnotateError: a hole in the sequence, an operation that is unknown or damaged, a row that was changed.

    """
    rows = connection.execute(
        "SELECT sequence, id, user, time, operation, hash FROM operations WHERE sequence > ? ORDER BY sequence",
        (after,),
    )
    for expected, (sequence, identifier, user, time, text, stored) in enumerate(rows, start=after + 1):
        where = f"{path}: operation {sequence}"
        if sequence != expected:
            raise AnnotateError(f"{path}: operation {expected} is missing; {_RESTORE}")
        try:
            entry = Entry(sequence, identifier, user, time, read_operation(text))
        except AnnotateError as error:
            raise AnnotateError(f"{where}: {error}; {_RESTORE}") from None
        chain = entry.chained(chain)
        if chain != stored:
            raise AnnotateError(f"{where} ({entry.operation.op} by {user}) is not as it was written; {_RESTORE}")
        yield entry, chain


def append_row(connection: sqlite3.Connection, entry: Entry, chain: str) -> None:
    """Write `entry` with its hash; durable when the transaction is committed."""
    connection.execute(
        "INSERT INTO operations VALUES (?, ?, ?, ?, ?, ?)",
        (entry.sequence, entry.id, entry.user, entry.time, write_operation(entry.operation), chain),
    )
