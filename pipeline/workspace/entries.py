"""Entries of a workspace's folders: uavpipe's files, leftovers of operating systems, and the user's own files.

uavpipe replaces and deletes its own files only. It ignores the others, and keeps them where a folder is replaced.
"""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from pipeline.errors import PipelineError

# File managers, network disks and macOS write them into any folder. Some show small pictures of the folder's files.
_LEFTOVER = re.compile(
    r"(?:^|/)(?:\.DS_Store|\.AppleDouble|\.directory|\._[^/]*|e?h?thumbs(?:_vista)?\.db|desktop\.ini|@eaDir|\.@__thumb"
    r"|\.nfs[^/]*|\.fuse_hidden[^/]*|\.Trash[^/]*|lost\+found)(?:/|$)",
    re.IGNORECASE,
)
_SALVAGE = re.compile(r"(?:^|/)(?:\.Trash[^/]*|lost\+found)/", re.IGNORECASE)
MANIFEST = "manifest.json"  # of a stage, in its folder
_EVERYWHERE = rf"(?:.*/)?\.part-.+|\.lock(?:-turn)?|{re.escape(MANIFEST)}"


def is_leftover(name: str) -> bool:
    """Whether an operating system or a file manager wrote the file `name`, or a folder that it is in."""
    return _LEFTOVER.search(name) is not None


def is_salvage(name: str) -> bool:
    """Whether the file `name` is in a trash or in `lost+found`: perhaps the only copy of something."""
    return _SALVAGE.search(name) is not None


def is_ours(name: str, ours: str) -> bool:
    """Whether uavpipe wrote the file `name` of a folder in which its files match `ours`, a regular expression."""
    return _pattern(ours).fullmatch(name) is not None and not is_leftover(name)


@lru_cache
def _pattern(ours: str) -> re.Pattern[str]:
    return re.compile(f"{ours}|{_EVERYWHERE}")


def files_below(folder: Path) -> Iterator[str]:
    """The files below `folder`, relative to it; links are not followed, and count as files."""
    for root, folders, files in os.walk(folder):
        inner = os.path.relpath(root, folder)
        prefix = "" if inner == "." else f"{inner}/"
        links = [name for name in folders if os.path.islink(f"{root}/{name}")]  # noqa: PTH114 - a Path for each is slow
        yield from (f"{prefix}{name}" for name in (*files, *links))


def is_taken(folder: Path, ours: str) -> bool:
    """Whether `folder` has files of uavpipe, those that match `ours`."""
    return any(is_ours(name, ours) for name in files_below(folder))


def check_no_link(folder: Path, inner: Iterable[Path]) -> None:
    """Check that none of `inner`, folders in the stage's folder `folder`, is a link: nothing is shown from outside.

    Raises:
        PipelineError: one is.

    """
    for path in inner:
        if path.is_symlink():
            raise PipelineError(f"{path}: a link; only all of {folder} may be one: put the folder itself there")


def rescue(former: Path, path: Path, ours: str) -> None:
    """Move what is in `former` and not of uavpipe to the same place in `path`."""
    for name in [name for name in files_below(former) if not is_ours(name, ours)]:
        target = path / name
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            (former / name).replace(target)


def empty(folder: Path, ours: str) -> None:
    """Delete uavpipe's files below `folder`, and the folders that are empty then; a link to a folder stays.

    Raises:
        OSError: a file cannot be deleted.

    """
    for name in [name for name in files_below(folder) if is_ours(name, ours)]:
        (folder / name).unlink()
    remove_empty(folder)


def remove_empty(folder: Path) -> None:
    """Remove `folder` and the folders in it as far as they hold no file; a link to a folder stays."""
    for root, _, _ in os.walk(folder, topdown=False):
        if not os.path.islink(root):  # noqa: PTH114 - as `root` is
            with suppress(OSError):  # something is in it
                os.rmdir(root)  # noqa: PTH106
