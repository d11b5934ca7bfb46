"""Reading regular files and text files, writing files atomically: a file is whole or absent."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader, TextIOWrapper
from pathlib import Path
from uuid import uuid4

from annotate.errors import AnnotateError

TEXT_LOG = ".log.jsonl"  # ends the name of the text beside a database of labels
HOST = ".host"  # of the file that names the host which writes to the database, on a network file system
LARGEST = 1 << 30  # bytes of a file that is read as a whole


def read_text(path: Path) -> str:
    """The text in `path`.

    Raises:
        AnnotateError: it cannot be read, or is not UTF-8.

    """
    try:
        with TextIOWrapper(open_regular(path), "utf-8-sig") as file:
            return file.read(LARGEST)
    except OSError as error:
        raise AnnotateError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise AnnotateError(f"{path}: not a text file in UTF-8") from None


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` atomically; as `temporary_beside`."""
    with temporary_beside(path) as temporary:
        with temporary.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)


@contextmanager
def temporary_beside(path: Path) -> Iterator[Path]:
    """A hidden name beside `path` that no other process uses; what has it at the end of the `with` is removed.

    The caller writes there, then renames it to `path`.

    Raises:
        AnnotateError: the folder cannot be created.

    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AnnotateError(f"{path}: cannot be created: {error.strerror}") from None
    temporary = path.with_name(f".part-{uuid4().hex[:8]}-{path.name}")
    try:
        yield temporary
    finally:
        for suffix in ("", "-wal", "-shm", "-journal", TEXT_LOG, HOST):  # the files beside a database
            temporary.with_name(temporary.name + suffix).unlink(missing_ok=True)


def sync_file(path: Path) -> None:
    """Put the content of `path` on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_folder(folder: Path) -> None:
    """Put the names in `folder` on the disk; Windows does so itself, and opens no folder."""
    if os.name != "nt":
        sync_file(folder)


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
