"""The SQLite file of the log: opening, checking, reading and writing rows."""

import logging
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from annotate.errors import AnnotateError, Busy, Unusable
from annotate.files import temporary_beside
from annotate.log import migrate
from annotate.log.file_system import Support, file_system
from annotate.log.history import Entry
from annotate.log.one_host import hold, is_held
from annotate.log.text_log import how_to_recover
from annotate.operations import read_operation, write_operation

_APPLICATION = 0x75617650  # "uavP" in SQLite's header: this file is ours
WAIT_S = 2.5  # for another process's transaction, which takes milliseconds
_POLL_S = 0.01
_CHECKPOINT = 1  # pages in the write-ahead log from which on they are written into the database
_log = logging.getLogger("uavpipe")
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)

_SCHEMA = f"""
PRAGMA application_id = {_APPLICATION};
PRAGMA user_version = {migrate.VERSION};
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


class Connection(sqlite3.Connection):
    """A connection that lets go of the lock of this host when it is closed."""

    host: IO[str] | None = None

    def close(self) -> None:
        """Close it."""
        super().close()
        if self.host is not None:
            self.host.close()


def connect(path: Path, *, create: bool = True) -> sqlite3.Connection:
    """The database in `path`, every commit on the disk before it returns.

    It is in WAL mode; on a network file system with a rollback journal, for this host alone. An older schema is
    migrated, after a backup beside it.

    Args:
        path: the file.
        create: make one where there is none.

    Raises:
        AnnotateError: it is not there, was emptied, is not ours, newer than this program, open on another host, or
            its file system has no shared memory, no locks, or uploads files instead of writing them.

    """
    _check_there(path, create=create)
    place = file_system(path)
    if place.support is Support.READING:
        raise Unusable(
            f"{path}: {place.type} uploads files when they are closed, so that decisions could be lost; labels are "
            "only read there: put the workspace on another disk"
        )
    with database_errors(path):
        if not path.exists():
            _make(path.resolve())
        connection = sqlite3.connect(
            path, timeout=WAIT_S, isolation_level=None, check_same_thread=False, factory=Connection
        )
        try:
            if place.support is Support.ROLLBACK:
                _announce(place.type)
                connection.host = hold(path)
            _prepare(connection, path, wal=place.support is Support.ALL)
        except BaseException:
            connection.close()
            raise
    return connection


def copy_in_memory(path: Path) -> sqlite3.Connection:
    """A copy of the database in `path`, of which no row and no page is changed; also where the user may not write.

    Raises:
        AnnotateError: as `connect`.

    """
    _check_there(path, create=False)
    copy = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    try:
        with database_errors(path):
            _copy(path, copy)
            if _version(copy, path) < migrate.VERSION:
                migrate.migrate(copy)
            copy.execute("PRAGMA trusted_schema = OFF")
    except OSError as error:
        copy.close()
        raise Unusable(f"{path}: cannot be read: {error.strerror}") from None
    except BaseException:
        copy.close()
        raise
    return copy


@cache
def _announce(kind: str) -> None:
    """Say once what is other on a network file system."""
    _log.warning(
        "the labels are on a network file system (%s): one host at a time can write to them, and each decision "
        "takes longer than on a local disk",
        kind,
    )


def _copy(path: Path, copy: sqlite3.Connection) -> None:
    support = file_system(path).support
    try:
        if support is not Support.READING:
            with closing(sqlite3.connect(path, timeout=WAIT_S)) as source:
                if support is Support.ROLLBACK:
                    _without_shared_memory(source)
                source.execute("PRAGMA query_only = ON")
                source.backup(copy)
                return
    except sqlite3.OperationalError as error:
        if _is_busy(error):
            raise
    # Beside the file SQLite needs others, which it may not make here.
    with TemporaryDirectory() as folder:
        target = path.resolve()
        for suffix in ("", "-wal", "-journal"):
            with suppress(FileNotFoundError):
                name = target.name + suffix
                shutil.copyfile(target.with_name(name), Path(folder, name))
        with closing(sqlite3.connect(Path(folder, target.name))) as source:
            source.backup(copy)


def _check_there(path: Path, *, create: bool) -> None:
    if not create and not path.is_file():
        raise AnnotateError(f"{path}: no such file; expected labels, as `labels.sqlite` in a workspace")
    if path.exists() and not path.stat().st_size:
        raise Unusable(
            f"{path}: empty, its labels are lost: restore a copy, or rebuild it with {how_to_recover(path)}; if "
            "nothing was ever labelled here, delete it"
        )


def _prepare(connection: sqlite3.Connection, path: Path, *, wal: bool) -> None:
    connection.execute("PRAGMA trusted_schema = OFF")
    if not wal:
        _without_shared_memory(connection)
    version = _version(connection, path)  # before anything is written: it might be another program's
    if wal:
        if connection.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
            raise AnnotateError(f"{path}: this file system has no shared memory for SQLite; choose a local disk")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT}")
    else:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("PRAGMA locking_mode = NORMAL")  # for the other processes of this host
        connection.execute("PRAGMA synchronous = EXTRA")  # FULL does not sync that the journal was deleted
    if version < migrate.VERSION:
        migrate.back_up(connection, path.resolve())
        migrate.migrate(connection)
    with transaction(connection):
        pass  # SQLite makes its log beside the file only now, and `files_of` looks for both
    if wal:  # with a rollback journal also a reader waits for a commit, and a commit for a reader
        # From here on nobody waits within SQLite, which would keep other threads out: `alone` tries again instead.
        connection.execute("PRAGMA busy_timeout = 0")


def _without_shared_memory(connection: sqlite3.Connection) -> None:
    """Let SQLite keep the index of a write-ahead log, where a local disk left one, in its own memory.

    It does so in this mode, if the mode is set before the first access (https://sqlite.org/wal.html, section 9).
    """
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")


def in_use(path: Path) -> bool:
    """Whether a process has the labels in `path` open to write."""
    return path.with_name(f"{path.name}-wal").exists() or is_held(path)  # who closes them last removes the -wal


def _version(connection: sqlite3.Connection, path: Path) -> int:
    """The version of the schema, from which this program can go on."""
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if application != _APPLICATION:
        raise AnnotateError(f"{path}: a database, but not of labels; choose another file")
    if not migrate.can_migrate(version):
        raise AnnotateError(
            f"{path}: labels of format {version}, this uavpipe knows {migrate.VERSION}; install a newer uavpipe"
        )
    return version


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
        except FileExistsError:
            raise
        except OSError:  # no hard links on this disk: EPERM, EOPNOTSUPP or ENOSYS
            with path.open("xb") as target:
                target.write(file.read_bytes())


def files_of(path: Path) -> list[int | None]:
    """The inodes of the database in `path` and of its write-ahead log: others mean that the file was replaced."""
    target = path.resolve()  # SQLite puts the log of a linked file beside the file itself
    files = (target, target.with_name(f"{target.name}-wal"))
    return [file.stat().st_ino if file.exists() else None for file in files]


class Watch:
    """Notices when the database was changed on the disk by something else, and checks its pages then.

    SQLite would not: what it read before is in its memory.
    """

    def __init__(self, path: Path | None) -> None:
        """`path`: the file; None: there is nothing to notice."""
        self._path = path
        self._stamp: tuple[int, int] | None = None

    def note(self) -> None:
        """The file is as this process left it."""
        if self._path is not None:
            self._stamp = _stamp(self._path)

    def check(self) -> None:
        """Check the pages of the file, if it was changed since.

        Raises:
            Unusable: it is damaged.

        """
        if self._path is None or _stamp(self._path) == self._stamp:
            return
        with database_errors(self._path):
            with closing(sqlite3.connect(self._path, timeout=WAIT_S)) as fresh:
                (found,) = fresh.execute("PRAGMA quick_check(1)").fetchone()
            if found != "ok":
                raise sqlite3.DatabaseError(" ".join(found.split()))


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:  # `files_of` tells it
        return None
    return found.st_mtime_ns, found.st_size


@contextmanager
def alone(
    connection: sqlite3.Connection, lock: AbstractContextManager[object], wait_s: float | None = None
) -> Iterator[None]:
    """Hold `lock`, within a transaction that began, alone among processes; end it with `committed`.

    While another process has one, this waits without `lock`, so that threads that only read go on.

    Raises:
        sqlite3.OperationalError: the other one did not end in time.

    """
    deadline = time.monotonic() + (WAIT_S if wait_s is None else wait_s)
    while True:
        with lock:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if not _is_busy(error) or time.monotonic() >= deadline:
                    raise
            else:
                yield
                return
        time.sleep(_POLL_S)


@contextmanager
def committed(connection: sqlite3.Connection) -> Iterator[None]:
    """The transaction that began; committed at the end, rolled back on an error."""
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """One transaction, alone among processes; committed at the end, rolled back on an error."""
    connection.execute("BEGIN IMMEDIATE")
    with committed(connection):
        yield


@contextmanager
def database_errors(path: Path) -> Iterator[None]:
    """Turn the errors of SQLite and of the disk into one line."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if _is_busy(error):
            raise Busy(f"{path}: another program is writing to the labels: try again") from None
        raise Unusable(f"{path}: cannot be used: {error}") from None
    except sqlite3.DatabaseError as error:
        raise Unusable(f"{path}: {error}; {_restore(path)}") from None


def _is_busy(error: BaseException) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _BUSY


def _restore(path: Path) -> str:
    return f"it was damaged or changed by hand: {how_to_recover(path)} rebuilds it"


def read_rows(connection: sqlite3.Connection, path: Path, after: int, chain: str) -> Iterator[tuple[Entry, str]]:
    """The entries behind number `after`, whose hash is `chain`, each with its own hash, checked one by one.

    Raises:
        AnnotateError: a hole in the sequence, an operation that is unknown or damaged, a row that was changed.

    """
    rows = connection.execute(
        "SELECT sequence, id, user, time, operation, hash FROM operations WHERE sequence > ? ORDER BY sequence",
        (after,),
    )
    restore = _restore(path)
    for expected, (sequence, identifier, user, moment, text, stored) in enumerate(rows, start=after + 1):
        where = f"{path}: operation {sequence}"
        if sequence != expected:
            raise Unusable(f"{path}: operation {expected} is missing; {restore}")
        try:
            entry = Entry(sequence, identifier, user, moment, read_operation(text))
        except AnnotateError as error:
            raise Unusable(f"{where}: {error}; {restore}") from None
        chain = entry.chained(chain)
        if chain != stored:
            raise Unusable(f"{where} ({entry.operation.op} by {user}) is not as it was written; {restore}")
        yield entry, chain


def append_row(connection: sqlite3.Connection, entry: Entry, chain: str) -> None:
    """Write `entry` with its hash; durable when the transaction is committed."""
    connection.execute(
        "INSERT INTO operations VALUES (?, ?, ?, ?, ?, ?)",
        (entry.sequence, entry.id, entry.user, entry.time, write_operation(entry.operation), chain),
    )
