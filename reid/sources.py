"""Image files of a folder or of a list."""

import csv
import logging
from collections import Counter
from collections.abc import Sequence
from io import TextIOWrapper
from pathlib import Path

from reid.columns import open_rows
from reid.errors import ReidError
from reid.files import open_regular

_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"}

_UNREAD = {".heic", ".heif", ".jp2", ".avif", ".dng", ".gif", ".jxl", ".jfif", ".raw"}
_log = logging.getLogger(__name__)


def image_files(source: Path) -> list[Path]:
    """The images of `source`: a folder (with its subfolders, in the order of their names), or a list.

    Of a folder, images of kinds that are not read, and images that differ only in their ending, are named in a
    warning. A list is a CSV with a column `path`, or a text file with one path a line; paths are relative to the
    list's folder and must stay within it.

    Raises:
        ReidError: the folder or list is missing or has no images, or a path leads out of it; names the line.

    """
    if source.is_dir():
        files = [path for path in source.rglob("*") if _is_visible(path, source)]
        found = [path for path in files if path.suffix.lower() in _SUFFIXES and path.is_file()]
        found.sort(key=lambda path: path.relative_to(source).parts)
        _warn([path for path in files if path.suffix.lower() in _UNREAD], found, source)
    else:
        found = [inside(source.parent, name, f"{source} line {line}") for line, name in listed(source)]
    if not found:
        raise ReidError(f"{source}: no images; expected a folder of images, or a list of them")
    return found


def _is_visible(path: Path, folder: Path) -> bool:
    """Whether it is the user's: what is hidden, or begins with @, is of an operating system, as __MACOSX is."""
    parts = path.relative_to(folder).parts
    return "__MACOSX" not in parts and not any(part[0] in ".@" for part in parts)


def _warn(unread: Sequence[Path], found: Sequence[Path], source: Path) -> None:
    if unread:
        _log.warning(
            "%s: %d images not read, as %s; convert them to JPEG or PNG", source, len(unread), min(unread).name
        )
    names = Counter(path.with_suffix("") for path in found)
    twice = [path.name for path in found if names[path.with_suffix("")] > 1]
    if twice:
        _log.warning(
            "%s: %d images differ from another only in their ending, as %s; each is a crop: remove those that are "
            "one picture",
            *(source, len(twice), ", ".join(twice[:2])),
        )


def listed(source: Path) -> list[tuple[int, str]]:
    """Line numbers and paths in the list `source`, as `image_files` reads it; the files may be missing.

    Raises:
        ReidError: no such list.

    """
    try:
        if source.suffix.lower() == ".csv":
            with open_rows(source) as rows:
                rows.require("path")
                return [(line, row["path"]) for line, row in rows]
        with TextIOWrapper(open_regular(source), "utf-8-sig", newline="") as file:
            return [(number, line.strip()) for number, line in enumerate(file, 1) if line.strip()]
    except FileNotFoundError:
        raise ReidError(f"{source}: no such folder or list of images") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ReidError(f"{source}: not a list of images: {error}") from None


def inside(root: Path, name: str, where: str) -> Path:
    """The file `name` of the folder `root`.

    Raises:
        ReidError: there is none, or the name leads out of the folder; the error begins with `where`.

    """
    folder = root.resolve()
    try:
        path = (folder / name).resolve()
        found = path.is_relative_to(folder) and path.is_file()
    except (ValueError, OSError):  # a null byte, or a name longer than names may be
        found = False
    if not found:
        raise ReidError(f"{where}: '{name[:80]}' is not a file in {root}")
    return root / name
