"""Bringing an older database of labels to the schema of this program, after a backup."""

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from annotate.files import sync_file, sync_folder, temporary_beside

# Of the schema. With every change: raise it, and add to STEPS what leads from the version before to it.
VERSION = 1
STEPS: Mapping[int, Callable[[sqlite3.Connection], None]] = {}


def can_migrate(version: int) -> bool:
    """Whether STEPS lead from `version` to this program's."""
    return all(each in STEPS for each in range(version, VERSION)) and version <= VERSION


def migrate(connection: sqlite3.Connection) -> None:
    """Apply the missing steps, all or none; another process may have been faster."""
    connection.execute("BEGIN EXCLUSIVE")
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        for each in range(version, VERSION):
            STEPS[each](connection)
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def back_up(connection: sqlite3.Connection, path: Path) -> Path:
    """Copy the database to a dated name beside `path`; whole and on the disk when this returns."""
    target = dated(path, "backup")
    with temporary_beside(target) as temporary:
        with closing(sqlite3.connect(temporary)) as copy:
            connection.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # all in one file
        sync_file(temporary)
        temporary.replace(target)
    sync_folder(target.parent)
    return target


def dated(path: Path, what: str) -> Path:
    """A free name beside `path`: labels.sqlite.backup-20300131-235959."""
    name = f"{path.name}.{what}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    names = (name, *(f"{name}-{number}" for number in range(2, 1000)))
    return next(path.with_name(each) for each in names if not path.with_name(each).exists())
