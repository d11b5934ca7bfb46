"""Locks between processes, also of several machines: files that the kernel locks, and unlocks with the process."""

import getpass
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from annotate.errors import Unusable
from annotate.locks import lock
from pipeline.errors import PipelineError

LOCK = ".lock"  # of a folder: held alone by a run, shared by the shards of a run
TURN = ".lock-turn"  # of a flight: held by the one of its shards that prepares it
_TRIES, _WAIT_S = 3, 0.05


def take(handle: IO[Any], folder: Path, *, shared: bool = False, wait: bool = False) -> bool:
    """Lock a file of `folder` until it is closed or the process ends; whether that succeeded.

    Args:
        handle: of the file, open for reading and writing: a network file system demands both.
        folder: for the error.
        shared: others may share it; otherwise it is held alone.
        wait: until those that hold it are done.

    Raises:
        PipelineError: its file system has no locks.

    """
    try:
        lock(handle, folder, shared=shared, wait=wait)
    except BlockingIOError:
        return False
    except Unusable as error:
        raise PipelineError(str(error)) from None
    return True


@contextmanager
def turn(folder: Path) -> Iterator[None]:
    """Wait until no other process is in this block for the same `folder`."""
    with (folder / TURN).open("a+") as handle:
        take(handle, folder, wait=True)
        yield


def holder(folder: Path) -> str:
    """The process that has locked `folder`, as it described itself; "" if nobody has.

    To find out, the lock is taken for an instant; `take_patiently` lets a run that begins just then wait for it.
    """
    path = folder / LOCK
    try:
        with path.open("r+" if os.access(path, os.W_OK) else "r") as handle:
            return "" if take(handle, folder) else handle.read().strip() or "an unknown process"
    except (OSError, PipelineError):  # no such file, or no locks here
        return ""


def take_patiently(handle: IO[Any], folder: Path, *, shared: bool = False) -> bool:
    """As `take`, with a second and a third try: somebody may only look who is at work here."""
    for _ in range(_TRIES):
        if take(handle, folder, shared=shared):
            return True
        time.sleep(_WAIT_S)
    return False


def login() -> str:
    """The user's name on this machine."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no name for the number, as in some containers
        return "unknown"


def owner() -> str:
    """The name of this process, for people on any machine."""
    return f"process {os.getpid()} on {socket.gethostname()}"
