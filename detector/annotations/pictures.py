"""Image files of a data set: which files are images, their sizes, and boxes that do not fit them."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from detector.annotations.account import Account
from detector.errors import DetectorError
from detector.files import open_regular

_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"}
_UNREAD = {".heic", ".heif", ".jp2", ".avif", ".dng", ".gif", ".raw", ".jxl", ".jpe", ".jfif", ".mpo", ".pfm"}
_LEFTOVERS = {"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "@eadir", "lost+found"}
_ORIENTATION, _LYING = 0x0112, range(5, 9)  # EXIF: the sensor was turned by 90 degrees
_SLACK = 0.05  # share of a side by which a box may reach beyond it: annotators and detectors are not that exact


def is_leftover(path: Path) -> bool:
    """Whether an operating system wrote the file or folder: hidden, a macOS companion, Thumbs.db and the like."""
    return path.name.startswith(".") or path.name.lower() in _LEFTOVERS


def list_files(folder: Path, suffixes: set[str], *, below: bool = False) -> list[Path]:
    """The files in `folder` (`below`: and in its folders) with one of `suffixes` in any capitals, sorted."""
    inner = sorted(path for path in folder.iterdir() if not is_leftover(path))
    files = [path for path in inner if path.suffix.lower() in suffixes and not path.is_dir()]
    if below:
        files += [file for path in inner if path.is_dir() for file in list_files(path, suffixes, below=True)]
    return files


def list_images(folder: Path, *, below: bool = False, account: Account | None = None) -> list[Path]:
    """The image files in `folder`, as `list_files`; images of formats that are not read are noted in `account`."""
    if account is not None:
        unread = Counter(path.suffix.lower() for path in list_files(folder, _UNREAD, below=below))
        for suffix, count in unread.items():
            account.notes[f"images passed over: {suffix} is not read; convert them to JPEG or PNG"] += count
    return list_files(folder, _SUFFIXES, below=below)


def one_of_a_name(paths: Sequence[Path], folder: Path) -> dict[str, Path]:
    """`paths` by their place in `folder` without the suffix, by which annotations name an image.

    Raises:
        DetectorError: two have the same.

    """
    found: dict[str, Path] = {}
    for path in paths:
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in found:
            raise DetectorError(
                f"{path}: {found[name].name} has the same name but for the suffix; expected one image for each "
                "file of annotations: rename or remove one of them"
            )
        found[name] = path
    return found


def image_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels of the image in `path`, turned as EXIF says, from its header alone.

    Raises:
        DetectorError: missing, or not an image.

    """
    (width, height), orientation = _header(path)
    return (height, width) if orientation in _LYING else (width, height)


def _header(path: Path) -> tuple[tuple[int, int], int]:
    """Stored width and height, and EXIF's orientation (1 if there is none)."""
    try:
        with open_regular(path) as file, Image.open(file) as image:
            return image.size, int(image.getexif().get(_ORIENTATION, 1))
    except (UnidentifiedImageError, ValueError, TypeError):
        raise DetectorError(f"{path}: not a readable image; expected a JPEG, PNG or similar file") from None
    except Image.DecompressionBombError as error:
        raise DetectorError(f"{path}: {error}; cut it into smaller images") from None
    except OSError as error:
        raise DetectorError(f"{path}: cannot be read: {error.strerror or error}") from None


def check_size(path: Path, annotated: tuple[int, int], place: str, account: Account) -> tuple[int, int]:
    """The size of the image in `path`, to which boxes in an image of size `annotated` can be scaled.

    Raises:
        DetectorError: the sizes differ, and neither is a whole multiple of the other; or the picture is shown
            turned and `annotated` is the size before that.

    """
    stored, orientation = _header(path)
    size = stored[::-1] if orientation in _LYING else stored
    if size == annotated:
        if orientation != 1 and stored == annotated:  # half a turn, mirrored, or square: no size shows the turn
            account.notes["images are turned by EXIF; their boxes are taken as in the picture that is shown"] += 1
        return size
    if stored == annotated:
        raise DetectorError(
            f"{place}: {path.name} is annotated as {_text(annotated)}, but EXIF turns it to {_text(size)}; save "
            "the images without EXIF's orientation, or annotate them as they are shown"
        )
    if not _is_multiple(annotated, size):
        raise DetectorError(
            f"{place}: {path.name} is annotated as {_text(annotated)}, but the image has {_text(size)}; use the "
            "images that were annotated, or correct width and height"
        )
    account.notes[f"images of {_text(size)} are annotated as {_text(annotated)}; their boxes are scaled"] += 1
    return size


def _is_multiple(one: tuple[int, int], other: tuple[int, int]) -> bool:
    small, large = sorted([one, other])
    return large[0] % small[0] == 0 and (large[0] // small[0]) * small[1] == large[1]


def _text(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]} px"


def note_misfit(bbox: Sequence[float], size: tuple[int, int] | None, account: Account) -> None:
    """Note in `account` that `bbox` (left, top, width, height in px) is outside its image or reaches beyond it."""
    if size is None:
        return
    starts, ends = bbox[:2], [bbox[0] + bbox[2], bbox[1] + bbox[3]]
    if any(start >= side or end <= 0 for start, end, side in zip(starts, ends, size, strict=True)):
        account.notes["boxes are outside their image; are they of images of another size?"] += 1
    elif any(
        start < -_SLACK * side or end > (1 + _SLACK) * side
        for start, end, side in zip(starts, ends, size, strict=True)
    ):
        account.notes["boxes reach far beyond their image; expected left, top, width and height in its pixels"] += 1
