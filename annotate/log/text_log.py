"""The second copy of the labels: a text beside the database that only grows, one line an operation.

An operation is committed to the database first, then appended here, then answered. So the database holds all that
the text holds, and more only where a process was killed in between; a database that holds less has lost something.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from annotate.errors import Unusable
from annotate.files import TEXT_LOG, sync_folder
from annotate.locks import lock
from annotate.log.history import Entry
from annotate.log.lines import write_head, write_line

_BLOCK = 1 << 16  # bytes; most lines are shorter


def text_log_of(database: Path) -> Path:
    """The text beside `database`; of a link, beside the file itself, as SQLite's own files."""
    target = database.resolve()
    return target.with_name(target.name + TEXT_LOG)


def how_to_recover(database: Path) -> str:
    """The command that rebuilds `database`."""
    return f"`uavpipe annotate log --recover --workspace {database.parent}`"


class TextLog:
    """The text beside `database`. Several processes may append to it.

    Attributes:
        path: the file.

    """

    def __init__(self, database: Path) -> None:
        self.path = text_log_of(database)
        self._database = database
        self._known = (0, 0)  # bytes, and the operations in them

    def last(self) -> tuple[int, str]:
        """The number and the hash of the last operation; (0, "") where there is none.

        Raises:
            Unusable: it cannot be read, or its last line was changed.

        """
        try:
            with self._open(os.O_RDONLY) as file:
                return self._last(file)[:2]
        except FileNotFoundError:
            return 0, ""
        except OSError as error:
            raise Unusable(f"{self.path}: cannot be read: {error.strerror}") from None

    def append(self, entries: Sequence[Entry], chains: Sequence[str]) -> None:
        """Write what is missing of `entries`, a log from its beginning; on the disk when this returns.

        Args:
            entries: the log.
            chains: the hash of each.

        Raises:
            Unusable: it cannot be written, or holds other operations.

        """
        try:
            with self.locked() as file:
                self._append(file, entries, chains)
        except OSError as error:
            raise Unusable(
                f"{self.path}: cannot be written: {error.strerror}; no decision is answered before it is here, too"
            ) from None

    def check(self, number: int, chain: str, entries: Sequence[Entry], chains: Sequence[str]) -> None:
        """Compare the `last` of this text with a database that was read afterwards.

        Raises:
            Unusable: the database lacks operations, or holds others.

        """
        if number > len(entries):
            raise Unusable(
                f"{self._database}: {len(entries):,} operations, but {self.path.name} has {number:,}: answered "
                f"decisions are lost here; stop the labelling app, then {how_to_recover(self._database)}"
            )
        if number and chains[number - 1] != chain:
            raise Unusable(
                f"{self._database}: operation {number:,} is another one in {self.path.name}; compare the two, then "
                f"{how_to_recover(self._database)}, which keeps both and takes the longer"
            )

    @contextmanager
    def locked(self) -> Iterator[BinaryIO]:
        """The file, which nobody else appends to or replaces before the end of the `with`."""
        while True:
            new = not self.path.exists()
            with self._open(os.O_RDWR | os.O_APPEND | os.O_CREAT) as file:
                lock(file, self.path.parent)
                if not self.path.exists() or os.fstat(file.fileno()).st_ino != self.path.stat().st_ino:
                    continue  # replaced while this waited
                yield file
                if new:
                    sync_folder(self.path.parent)
                return

    def _open(self, flags: int) -> BinaryIO:
        """The file, which must be one itself: a workspace that somebody sent may have a link or a pipe there."""
        reading = flags == os.O_RDONLY
        if self.path.is_symlink() or (self.path.exists() and not self.path.is_file()):
            raise Unusable(f"{self.path}: a link or no regular file; remove it, and it is written again")
        for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"):  # none of them is on every system
            flags |= getattr(os, name, 0)
        handle = os.open(self.path, flags, 0o666)
        return os.fdopen(handle, "rb") if reading else os.fdopen(handle, "a+b")

    def _append(self, file: BinaryIO, entries: Sequence[Entry], chains: Sequence[str]) -> None:
        size, count = self._known
        changed = file.seek(0, os.SEEK_END) != size or not size
        if changed:
            count, chain, size = self._last(file)
            if count <= len(entries):
                self.check(count, chain, entries, chains)
        if count < len(entries) or not size:
            file.truncate(size)  # a torn line: nobody was answered that it holds
            lines = [] if size else [write_head()]
            lines += [write_line(entries[at], chains[at]) for at in range(count, len(entries))]
            file.write("".join(f"{line}\n" for line in lines).encode())
            file.flush()
            size, count, changed = file.seek(0, os.SEEK_END), len(entries), True
        if changed:  # also where another process wrote: it may have been killed before this
            os.fsync(file.fileno())
        self._known = (size, count)

    def _last(self, file: BinaryIO) -> tuple[int, str, int]:
        """The number and the hash of the last whole line, and where it ends."""
        line, end = _last_line(file)
        if not end:
            return 0, "", 0
        try:
            found = json.loads(line)
            if not isinstance(found, dict):
                raise TypeError
            if "format" in found:
                return 0, "", end
            number = int(found["sequence"])
            if number < 1:
                raise ValueError
            return number, str(found["hash"]), end
        except (ValueError, TypeError, KeyError, RecursionError):
            raise Unusable(
                f"{self.path}: its last line is not as it was written; {how_to_recover(self._database)} writes it "
                "again"
            ) from None


def _last_line(file: BinaryIO) -> tuple[bytes, int]:
    """The last line that ends with a newline, and where it ends; what is behind it was torn off."""
    size, block = file.seek(0, os.SEEK_END), _BLOCK
    while True:
        begin = max(size - block, 0)
        file.seek(begin)
        data = file.read(size - begin)
        stop = data.rfind(b"\n")
        start = data.rfind(b"\n", 0, max(stop, 0))
        if stop >= 0 and (start >= 0 or not begin):
            return data[start + 1 : stop], begin + stop + 1
        if not begin:
            return b"", 0
        block *= 8
