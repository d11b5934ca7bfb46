"""The lock that keeps a second host from writing to labels on a network file system.

SQLite's locks protect the processes of one host from each other on any file system that has locks. Between hosts
many network file systems lose them or keep old pages in memory, so only one host at a time may write.
"""

import os
import platform
import time
from pathlib import Path
from typing import IO

from annotate.errors import AnnotateError
from annotate.files import HOST
from annotate.locks import lock

_BOOT = Path("/proc/sys/kernel/random/boot_id")  # tells hosts of one name apart, as containers' are

_TRIES, _PAUSE_S = 5, 0.05


def hold(database: Path) -> IO[str]:
    """Keep other hosts from writing to `database` until the file that this returns is closed.

    Raises:
        AnnotateError: another host writes to it, or the file system has no locks.

    """
    path, mine, owner = _file(database), _name(), ""
    for _ in range(_TRIES):  # another process may be between its two locks
        try:
            file = path.open("a+", encoding="utf-8")
        except OSError as error:
            raise AnnotateError(f"{path}: cannot be written: {error.strerror}") from None
        try:
            owner = _share(file, mine, path.parent)
        except BaseException:
            file.close()
            raise
        if owner == mine:
            return file
        file.close()
        time.sleep(_PAUSE_S)
    raise AnnotateError(
        f"{database}: in use on {(owner.split() or ['another host'])[0]}; on a network file system one host at a "
        "time may write to the labels: end the labelling app there"
    )


def _share(file: IO[str], mine: str, folder: Path) -> str:
    """Lock `file` together with others, and give the host that it names: `mine` where nobody else has it."""
    try:
        lock(file, folder, wait=False)
    except BlockingIOError:
        pass  # other processes have it, of this host or of another
    else:
        file.truncate(0)
        file.write(mine)
        file.flush()
        os.fsync(file.fileno())
    lock(file, folder, shared=True)
    file.seek(0)
    return file.read(1000)


def is_held(database: Path) -> bool:
    """Whether any process has labels on a network file system open to write."""
    try:
        with _file(database).open("r+") as file:
            lock(file, database.parent, wait=False)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _file(database: Path) -> Path:
    target = database.resolve()
    return target.with_name(target.name + HOST)


def _name() -> str:
    try:
        boot = _BOOT.read_text().strip()
    except OSError:
        boot = ""
    return f"{platform.node() or 'unnamed'} {boot}"
