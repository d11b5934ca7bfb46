"""Files and folders that are whole or absent.

Nothing half-written is ever visible: files and folders are made under a hidden temporary name on the same
file system and renamed when whole.
"""

import errno
import json
import os
import secrets
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pipeline.errors import PipelineError
from pipeline.files import read_regular
from pipeline.workspace.entries import rescue

TEMPORARY = ".part-"  # prefix of everything unfinished; swept at the next start
_LONGEST = 64  # letters of a machine's name in a temporary one
_OCCUPIED = (errno.ENOTEMPTY, errno.EEXIST)  # there is a folder with files


@contextmanager
def atomic_file(path: Path, *, shared: bool = False) -> Iterator[Path]:
    """A temporary path beside `path`; what is written there becomes `path` at the end, or vanishes.

    Where several processes may write `path` at once, it has to be `shared`: each has a temporary path of its own.
    """
    temporary, _ = _unfinished(path, shared)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove(temporary)  # a link of that name would be written through
    try:
        yield temporary
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def atomic_folder(path: Path, ours: str = ".*", *, shared: bool = False) -> Iterator[Path]:
    """A fresh temporary folder beside `path`; it takes the place of `path` at the end, or vanishes.

    Where `path` is a link to a folder, that folder is replaced and the link stays. What cannot be deleted of the
    former folder stays beside it, hidden, until the next start.

    Args:
        path: the folder.
        ours: a regular expression for the files that uavpipe writes there, relative to it; other files are
            kept.
        shared: several processes may make the same folder at once: each has a temporary one of its own, and leaves
            those of killed ones to the next start. If another is faster, its folder stays.

    Raises:
        PipelineError: a file cannot be deleted or moved; the former folder is still there.

    """
    path = _target(path)
    temporary, former = _unfinished(path, shared)
    if not shared:
        sweep(path, ours)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        with _held():
            with suppress(FileNotFoundError):  # there is none, or another process has put it aside
                path.replace(former)  # aside first: deleting takes long, and half a folder would be believed
            try:
                temporary.replace(path)
            except OSError as error:
                if not (shared and error.errno in _OCCUPIED):
                    if former.exists():
                        former.replace(path)
                    raise
                shutil.rmtree(temporary)
            rescue(former, path, ours)
        shutil.rmtree(former, ignore_errors=True)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


@contextmanager
def _held() -> Iterator[None]:
    """Tell what a user or another program keeps from being deleted or moved."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EACCES, errno.EBUSY, *_OCCUPIED):
            raise
        raise PipelineError(
            f"{error.filename}: cannot be deleted or moved: {error.strerror}; make it possible and run again"
        ) from None


def sweep(path: Path, ours: str = ".*") -> None:
    """Remove what a killed run left of making the folder `path`; the user's own files go back into it.

    Raises:
        PipelineError: a file cannot be deleted or moved.

    """
    path = _target(path)
    temporary, former = _unfinished(path)
    with _held():
        remove(temporary)
        if former.is_dir() and not former.is_symlink():
            rescue(former, path, ours)
        remove(former)


def remove(path: Path) -> None:
    """Delete the file or folder `path`, if there is one; of a link the link itself, never what it leads to.

    Raises:
        OSError: it cannot be deleted.

    """
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
    else:
        shutil.rmtree(path)


def _target(path: Path) -> Path:
    """Where the folder `path` is: a link to a larger disk stays a link."""
    return path.resolve() if path.is_symlink() else path


def _unfinished(path: Path, shared: bool = False) -> tuple[Path, Path]:
    """Where `path` is made, and where the folder before it is put aside; `shared`: names that nobody else takes."""
    # The random number too: machines may have one name, and a process may meet what it left in an earlier attempt.
    writer = f"{socket.gethostname()[:_LONGEST]}-{os.getpid()}-{secrets.token_hex(4)}-" if shared else ""
    return path.with_name(f"{TEMPORARY}{writer}{path.name}"), path.with_name(
        f"{TEMPORARY}former-{writer}{path.name}"
    )


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write `content` to `path` atomically."""
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, default=str) + "\n", "utf-8")


def read_json(path: Path) -> dict[str, Any] | None:
    """The JSON object in `path`; None if there is no file or no whole object in it."""
    try:
        content = json.loads(read_regular(path))
    except (FileNotFoundError, NotADirectoryError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None
