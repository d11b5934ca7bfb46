"""File locks between processes, by the means of the operating system: flock, or LockFileEx on Windows.

The system drops a lock with the process, so that one that was killed blocks nobody.
"""

import errno
import os
from pathlib import Path
from typing import IO, Any

from annotate.errors import Unusable

_posix: Any
try:
    import fcntl

    _posix = fcntl
except ImportError:  # Windows
    _posix = None

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # NFS without lockd, Lustre without -o flock, FUSE
_EXCLUSIVE, _AT_ONCE = 2, 1  # flags of LockFileEx
_HELD = (33, 997)  # its errors ERROR_LOCK_VIOLATION and ERROR_IO_PENDING
_BEHIND = 0x7FFFFFFF  # times 4 GiB into the file: a locked byte cannot be read on Windows, and none is there


def lock(file: IO[Any], folder: Path, *, shared: bool = False, wait: bool = True) -> None:
    """Lock `file` until it is closed; a lock that it already has is replaced.

    Args:
        file: open for reading and writing.
        folder: that it is in, for the error.
        shared: others may have a shared lock, too; otherwise it is held alone.
        wait: until those that hold it are done.

    Raises:
        Unusable: the file system has no locks; nothing is done without them.
        BlockingIOError: without `wait`, another process has the lock.

    """
    try:
        if _posix is None:
            _lock_file_ex(file, shared=shared, wait=wait)
        else:
            kind = _posix.LOCK_SH if shared else _posix.LOCK_EX
            _posix.flock(file, kind if wait else kind | _posix.LOCK_NB)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        raise Unusable(
            f"{folder}: its file system has no file locks ({error.strerror}); mount it with them (Lustre: "
            "`-o flock`; NFS: version 4, or version 3 with lockd), or put the workspace on another disk"
        ) from None


def _lock_file_ex(file: IO[Any], *, shared: bool, wait: bool) -> None:
    """`lock` by Windows: https://learn.microsoft.com/windows/win32/api/fileapi/nf-fileapi-lockfileex."""
    import ctypes
    from ctypes import wintypes
    from importlib import import_module

    class Overlapped(ctypes.Structure):
        _fields_ = (
            ("internal", ctypes.c_void_p),
            ("internal_high", ctypes.c_void_p),
            ("offset", wintypes.DWORD),
            ("offset_high", wintypes.DWORD),
            ("event", wintypes.HANDLE),
        )

    windows: Any = ctypes  # its parts that other systems lack
    msvcrt: Any = import_module("msvcrt")
    kernel = windows.WinDLL("kernel32", use_last_error=True)
    handle = wintypes.HANDLE(msvcrt.get_osfhandle(file.fileno()))
    place = ctypes.byref(Overlapped(offset_high=_BEHIND))
    kernel.UnlockFileEx(handle, 0, 1, 0, place)  # as flock replaces the lock that the file has
    flags = (0 if shared else _EXCLUSIVE) | (0 if wait else _AT_ONCE)
    if kernel.LockFileEx(handle, flags, 0, 1, 0, place):
        return
    code = windows.get_last_error()
    if code in _HELD:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    raise OSError(errno.ENOLCK, f"error {code} of LockFileEx")
