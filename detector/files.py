"""Hashes of files, and atomic writing."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`: it replaces `path` at the end, or is removed after an exception."""
    temporary = path.with_name(f".part-{path.name}")
    path.parent.mkdir(parents=True, exist_ok=True)
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
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
