"""Files that somebody else made or named: opened only where they are regular, inside their folder, and hashed."""

import errno
import hashlib
import os
import stat
from io import BufferedReader
from pathlib import Path

LARGEST = 1 << 30  # bytes of a file that is read as a whole


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


def file_sha256(path: Path) -> str:
    """sha256 (hex) of the bytes of the file `path`.

    Raises:
        OSError: it cannot be read.

    """
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_inside(path: Path, folder: Path) -> bool:
    """Whether `path` is in `folder`, all links followed."""
    return path.resolve().is_relative_to(folder.resolve())
