"""Leases on tracklets, so that two labellers are not given the same one.

A lease is no lock: it expires by itself, is not part of the log, and no decision is refused because of it.
"""

import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path

from annotate.log.database import database_errors, transaction


class Leases:
    """The leases in the labels' file; made by `annotate.log.store.LabelStore`."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        lock: AbstractContextManager[object],
        path: Path,
        now: Callable[[], datetime],
    ) -> None:
        self._connection, self._lock, self._path, self._now = connection, lock, path, now

    def take(self, tracklet: str, user: str, seconds: float) -> bool:
        """Lease `tracklet` to `user` for `seconds` from now, also where they have it already.

        Returns:
            Whether they have it; False where another labeller has it.

        """
        with self._lock, database_errors(self._path), transaction(self._connection):
            now = self._now().timestamp()
            self._connection.execute("DELETE FROM leases WHERE expires <= ?", (now,))
            changed = self._connection.execute(
                "INSERT INTO leases VALUES (?, ?, ?) ON CONFLICT (tracklet) DO UPDATE "
                "SET expires = excluded.expires WHERE user = excluded.user",
                (tracklet, user, now + seconds),
            )
            return changed.rowcount == 1

    def held(self) -> dict[str, str]:
        """The users of the leases that have not expired, by tracklet."""
        with self._lock, database_errors(self._path):
            now = self._now().timestamp()
            return dict(self._connection.execute("SELECT tracklet, user FROM leases WHERE expires > ?", (now,)))
