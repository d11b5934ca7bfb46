"""Image files of a folder or of a list."""

import csv
from io import TextIOWrapper
from pathlib import Path

from reid.errors import ReidError
from reid.files import open_regular

_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"}


def image_files(source: Path) -> list[Path]:
    """The images of `source`: a folder (with its subfolders, in the order of their names), or a list.

    A list is a CSV with a column `path`, or a text file with one path a line; paths are relative to the list's
    folder and must stay within it.

    Raises:
        ReidError: the folder or list is missing or has no images, or a path leads out of it; names the line.

    """
    if source.is_dir():
        found = [path for path in source.rglob("*") if _is_image(path, source)]
        found.sort(key=lambda path: path.relative_to(source).parts)
    else:
        found = [inside(source.parent, name, f"{source} line {line}") for line, name in listed(source)]
    if not found:
        raise ReidError(f"{source}: no images; expected a folder of images, or a list of them")
    return found


def _is_image(path: Path, folder: Path) -> bool:
    """Whether it is a file with an image's name; what is hidden, or begins with @, is of an operating system."""
    if path.suffix.lower() not in _SUFFIXES or any(part[0] in ".@" for part in path.relative_to(folder).parts):
        return False
    return path.is_file()


def listed(source: Path) -> list[tuple[int, str]]:
    """Line numbers and paths in the list `source`, as `image_files` reads it; the files may be missing.

    Raises:
        ReidError: no such list.

    """
    try:
        with TextIOWrapper(open_regular(source), "utf-8-sig", newline="") as file:
            if source.suffix.lower() != ".csv":
                return [(number, line.strip()) for number, line in enumerate(file, 1) if line.strip()]
            rows = csv.DictReader(file)
            if "path" not in (rows.fieldnames or ()):
                raise ReidError(f"{source}: expected a column 'path', found {', '.join(rows.fieldnames or ())}")
            return [(rows.line_num, row["path"] or "") for row in rows]
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
