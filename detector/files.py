"""Hashes of files, reading of regular files, and atomic writing."""

import errno
import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from io import BufferedReader
from pathlib import Path

LARGEST = 1 << 30  # bytes of a file that is read as a whole


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`: it replaces `path` at the end, or is removed after an exception."""
    temporary = path.with_name(f".part-{path.name}")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary.unlink(missing_ok=True)  # a link of that name would be written through
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file; one that has not changed since is not read again."""
    status = path.stat()
    return _sha256(path, status.st_size, status.st_mtime_ns)


def sha256_of_all(paths: Sequence[Path]) -> str:
    """SHA-256 over the hashes of several files."""
    return hashlib.sha256("".join(map(sha256_of, paths)).encode()).hexdigest()


@lru_cache(maxsize=32)
def _sha256(path: Path, size: int, modified: int) -> str:
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def open_regular(path: Path) -> BufferedReader:
    """The file `path`, open for reading; a pipe or a device is refused, not waited for.

    Raises:
        OSError: it cannot be opened, or is not a regular file.

    """
    at_once = getattr(os, "O_NONBLOCK", 0)  # Windows has none, and no pipes among the files either
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | at_once))  # noqa: SIM115
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return file
    file.close()
    raise OSError(errno.EINVAL, "not a regular file", str(path))


def read_regular(path: Path) -> bytes:
    """The bytes of the file `path`, as `open_regular`; a file of more than `LARGEST` bytes is refused.

    Raises:
        OSError: as above, or it is too large.

    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > LARGEST:
            raise OSError(errno.EINVAL, f"too large: {size:,} bytes, at most {LARGEST:,} are read", str(path))
        return file.read()
