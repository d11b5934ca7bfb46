"""Leases on tracklets, so that two labellers are not given the same one.

A lease is no lock: it expires by itself, is not part of the log, and no decision is refused because of it. Where
another program is writing to the file it is kept in memory alone, so that nobody waits.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime
from pathlib import Path

from annotate.errors import Busy
from annotate.log.database import Watch, alone, committed, database_errors

_WAIT_S = 0.1  # for another process's transaction


class Leases:
    """The leases in the labels' file; made by `annotate.log.store.LabelStore`."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        lock: AbstractContextManager[object],
        path: Path,
        now: Callable[[], datetime],
        watch: Watch,
    ) -> None:
        self._connection, self._lock, self._path, self._now, self._watch = connection, lock, path, now, watch
        self._unwritten: dict[str, tuple[str, float]] = {}  # tracklet -> user, and when it expires

    def take(self, tracklet: str, user: str, seconds: float) -> bool:
        """Lease `tracklet` to `user` for `seconds` from now, also where they have it already.

        Returns:
            Whether they have it; False where another labeller has it.

        """
        with self._lock:
            now = self._now().timestamp()
            if self.held().get(tracklet, user) != user:
                return False
            try:
                return self._write(tracklet, user, now, now + seconds)
            except Busy:
                self._unwritten[tracklet] = (user, now + seconds)
                return True

    def end(self, tracklets: Iterable[str]) -> None:
        """End the leases on `tracklets`, whoever has them; within the caller's transaction."""
        for tracklet in tracklets:
            self._unwritten.pop(tracklet, None)
            self._connection.execute("DELETE FROM leases WHERE tracklet = ?", (tracklet,))

    def give_up(self, user: str) -> None:
        """End the leases of `user`; while another program writes to the file, those in it expire."""
        with self._lock:
            self._unwritten = {name: lease for name, lease in self._unwritten.items() if lease[0] != user}
            with suppress(Busy), self._writing():
                self._connection.execute("DELETE FROM leases WHERE user = ?", (user,))

    def held(self) -> dict[str, str]:
        """The users of the leases that have not expired, by tracklet."""
        with self._lock:
            now = self._now().timestamp()
            self._unwritten = {name: lease for name, lease in self._unwritten.items() if lease[1] > now}
            found = {name: user for name, (user, _) in self._unwritten.items()}
            with suppress(Busy), database_errors(self._path):
                rows = self._connection.execute("SELECT tracklet, user FROM leases WHERE expires > ?", (now,))
                found |= dict(rows)
            return found

    def _write(self, tracklet: str, user: str, now: float, expires: float) -> bool:
        with self._writing():
            self._connection.execute("DELETE FROM leases WHERE expires <= ?", (now,))
            changed = self._connection.execute(
                "INSERT INTO leases VALUES (?, ?, ?) ON CONFLICT (tracklet) DO UPDATE "
                "SET expires = excluded.expires WHERE user = excluded.user",
                (tracklet, user, expires),
            )
        return changed.rowcount == 1

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """A transaction. Raises Busy where another program is writing."""
        with database_errors(self._path), alone(self._connection, self._lock, _WAIT_S):
            with committed(self._connection):
                self._watch.check()
                yield
            self._watch.note()
