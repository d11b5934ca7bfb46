"""The identity of a video: a hash of its content."""

import hashlib
import re
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.files import open_regular

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})


def content_hash(path: Path) -> str:
    """sha256 (hex) of a file's bytes, or of the names and bytes of a folder's images.

    Raises:
        PipelineError: it cannot be read.
    """
    try:
        if path.is_dir():
            listing = "".join(f"{_sha256(image)} {image.name}\n" for image in list_images(path))
            return hashlib.sha256(listing.encode(errors="surrogateescape")).hexdigest()
        return _sha256(path)
    except OSError as error:
        raise PipelineError(f"{path}: cannot be read: {error.strerror}") from error


def _sha256(path: Path) -> str:
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
