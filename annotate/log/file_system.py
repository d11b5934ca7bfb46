"""The type of the file system that a file is on, and what SQLite supports there.

SQLite's WAL mode needs memory that all processes share, so that it "does not work over a network filesystem"
(https://sqlite.org/wal.html). Its rollback journal does where file locks and fsync work, from one host at a time
(https://sqlite.org/useovernet.html). A mount that uploads files when they are closed has neither.
"""

import re
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")  # of Linux; where there is none, the type is unknown

_NETWORK = re.compile(
    "nfs4?|cifs|smb[23]?|smbfs|ncpfs|afs|9p|lustre|gpfs|ceph|beegfs|orangefs|pvfs2|panfs|wekafs|glusterfs|ocfs2|gfs2"
    "|acfs|vboxsf|virtiofs|vmhgfs|prl_fs|fuse(?!blk).*"
)
_LOCAL_FUSE = re.compile(
    r"fuse\.(ntfs(-3g)?|exfat(-fuse)?|ext[234]|fuse-ext2|mergerfs|bindfs|unionfs(-fuse)?|fuse-overlayfs|encfs"
    r"|gocryptfs|cryfs|securefs|cryptomator|veracrypt|zfs-fuse|squashfuse|lxcfs)"
)
_UPLOADING = re.compile(
    r"(fuse\.)?(s3fs|s3ql|goofys|geesefs|mountpoint-s3|gcsfuse|blobfuse2?|rclone.*|ossfs|obsfs|cosfs|davfs2?|wdfs"
    r"|curlftpfs|gvfsd-fuse|kio-fuse|google-drive-ocamlfuse|onedriver|dbxfs)"
)


class Support(Enum):
    """What SQLite supports on a file system."""

    ALL = "WAL mode"
    ROLLBACK = "the rollback journal, from one host at a time"
    READING = "reading"


@dataclass(frozen=True)
class FileSystem:
    """The file system of a file.

    Attributes:
        type: as in `/proc/mounts`; "unknown" where the system does not tell.
        support: what SQLite supports there; `ALL` where the type is unknown.

    """

    type: str
    support: Support


def file_system(path: Path) -> FileSystem:
    """The file system that `path` is on, or will be."""
    kind = _type_of(path)
    if _UPLOADING.fullmatch(kind):
        return FileSystem(kind, Support.READING)
    if _NETWORK.fullmatch(kind) and not _LOCAL_FUSE.fullmatch(kind):
        return FileSystem(kind, Support.ROLLBACK)
    return FileSystem(kind, Support.ALL)


def _type_of(path: Path) -> str:
    try:
        lines = MOUNTS.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return "unknown"
    target, found, depth = path.resolve(), "unknown", -1
    for line in lines:  # a later mount on the same folder hides the one before
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        if len(fields) < 5 or not after:
            continue
        folder = Path(_unescape(fields[4]))
        if len(folder.parts) >= depth and target.is_relative_to(folder):
            found, depth = after.split(" ")[0], len(folder.parts)
    return found


def _unescape(text: str) -> str:
    """`text` with the kernel's octal escapes (of spaces, tabs, newlines and backslashes) undone."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)
