"""Crops for the report, each once, no larger than they are shown."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageOps

from pipeline.files import is_inside
from pipeline.stages.crop_store import read_picture

_HEIGHT = 160  # px: twice what is shown, for screens that have as many
_QUALITY = 85


@dataclass
class Pictures:
    """Puts pictures into a folder and says what to call them from the page beside it.

    Attributes:
        folder: the report's.
        roots: the folders whose pictures are shown, those of the crops and of the evaluated data sets: tables of a
            workspace from elsewhere may name any file, and a report is made to be shared.
        missing: crops of which there is no picture: they could not be read, or are outside of `roots`.

    """

    folder: Path
    roots: Sequence[Path]
    missing: list[Path] = field(default_factory=list)

    def add(self, crop: Path) -> str | None:
        """The address of `crop`'s picture, relative to the page; None where there is none, as for `missing`."""
        name = f"crops/{hashlib.sha256(str(crop).encode()).hexdigest()[:16]}.jpg"
        path = self.folder / name
        if path.exists():
            return name
        if not any(is_inside(crop, root) for root in self.roots):
            self.missing.append(crop)
            return None
        picture = thumbnail(crop)
        if picture is None:
            self.missing.append(crop)
            return None
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(picture)
        return name


def thumbnail(path: Path) -> bytes | None:
    """The crop, or another picture, at `path`, no larger than it is shown, as a JPEG; None if it cannot be read."""
    try:
        with Image.open(BytesIO(read_picture(path))) as opened:
            picture = ImageOps.exif_transpose(opened).convert("RGB")
    except (OSError, ValueError, Image.DecompressionBombError):
        return None
    picture.thumbnail((_HEIGHT, _HEIGHT))
    written = BytesIO()
    picture.save(written, "jpeg", quality=_QUALITY)
    return written.getvalue()
