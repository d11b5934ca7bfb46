"""Crops for the report, each once, no larger than they are shown."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

_HEIGHT = 160  # px: twice what is shown, for screens that have as many
_QUALITY = 85


@dataclass
class Pictures:
    """Puts pictures into a folder and says what to call them from the page beside it.

    Attributes:
        folder: the report's.
        missing: crops that could not be read, of which there is no picture.

    """

    folder: Path
    missing: list[Path] = field(default_factory=list)

    def add(self, crop: Path) -> str | None:
        """The address of `crop`'s picture, relative to the page; None where the crop is gone or damaged."""
        name = f"crops/{hashlib.sha256(str(crop).encode()).hexdigest()[:16]}.jpg"
        path = self.folder / name
        if path.exists():
            return name
        path.parent.mkdir(exist_ok=True)
        try:
            with Image.open(crop) as opened:
                picture = opened.convert("RGB")
        except (OSError, ValueError, Image.DecompressionBombError):
            self.missing.append(crop)
            return None
        picture.thumbnail((_HEIGHT, _HEIGHT))
        picture.save(path, quality=_QUALITY)
        return name
