"""A folder of images as a video."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import PipelineError
from pipeline.video.records import Damage, Frame, Segment, SegmentEnd

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"}


def image_files(folder: Path) -> list[Path]:
    """The images in `folder`, `frame2` before `frame10`; hidden files are left out."""
    files = [
        path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    ]
    return sorted(files, key=lambda path: [(int(n or 0), t) for n, t in re.findall(r"(\d+)|(\D+)", path.name)])


class FolderVideo:
    """The images of a folder in natural order, `fps` a second.

    Raises:
        PipelineError: no image, or none that can be read.
    """

    codec = "images"

    def __init__(self, path: Path, segment_frames: int, fps: float) -> None:
        self.path, self.fps = path, fps
        self._files = image_files(path)
        if not self._files:
            raise PipelineError(f"{path}: no images in this folder; expected {', '.join(sorted(SUFFIXES))}")
        self.frame_count = len(self._files)
        starts = range(0, self.frame_count, segment_frames)
        self.segments = tuple(
            Segment(number, first, min(first + segment_frames, self.frame_count), first)
            for number, first in enumerate(starts)
        )
        first = next((image for image in map(_read, self._files) if image is not None), None)
        if first is None:
            raise PipelineError(f"{path}: none of its {self.frame_count} images can be read")
        self.height, self.width = first.shape[:2]

    def read(self, segments: Sequence[Segment]) -> Iterator[Frame | SegmentEnd]:
        """The frames of `segments`, a `SegmentEnd` after each."""
        for segment in segments:
            damage: list[Damage] = []
            for index in range(segment.first, segment.stop):
                file, seconds = self._files[index], index / self.fps
                image = _read(file)
                if image is None:
                    damage.append(Damage(index, seconds, f"{file.name} cannot be read", lost=True))
                    continue
                if image.shape[:2] != (self.height, self.width):
                    what = f"{file.name} is {image.shape[1]}x{image.shape[0]}; scaled to {self.width}x{self.height}"
                    damage.append(Damage(index, seconds, what, lost=False))
                    image = np.asarray(cv2.resize(image, (self.width, self.height), interpolation=cv2.INTER_AREA))
                yield Frame(index, seconds, key=True, corrupt=False, image=image)
            yield SegmentEnd(segment, tuple(damage))


def _read(path: Path) -> NDArray[np.uint8] | None:
    """uint8 (H, W, 3) RGB, turned as its EXIF data ask; None if it is no image."""
    try:
        data = np.fromfile(path, np.uint8)
    except OSError:
        return None
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    return None if image is None else np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
