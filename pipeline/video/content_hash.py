"""The identity of a video: a hash of its content."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.files import file_sha256

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})
VIDEO_SUFFIXES = frozenset(
    {".mp4", ".mov", ".m4v", ".mkv", ".avi", ".webm", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".wmv", ".3gp"}
)


def content_hash(path: Path | Sequence[Path]) -> str:
    """sha256 (hex) of a file's bytes, of the names and bytes of a folder's images, or of a flight's parts in order.

    Raises:
        PipelineError: it cannot be read.
    """
    if not isinstance(path, Path):
        hashes = [content_hash(part) for part in path]
        return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()
    try:
        if path.is_dir():
            listing = "".join(f"{file_sha256(image)} {image.name}\n" for image in list_images(path))
            return hashlib.sha256(listing.encode(errors="surrogateescape")).hexdigest()
        return file_sha256(path)
    except OSError as error:
        raise PipelineError(f"{path}: cannot be read: {error.strerror}") from error


def list_images(folder: Path) -> list[Path]:
    """The images of `folder`, hidden files left out, in natural order: frame2 before frame10."""
    images = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()
    ]
    return sorted(images, key=lambda path: (natural_key(path.name), path.name))


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """A sort key under which runs of digits count as numbers: frame2 before frame10."""
    parts = re.split(r"([0-9]+)", name.lower())
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part]
