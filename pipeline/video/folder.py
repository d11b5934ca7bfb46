"""A folder of images, read as a video."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import PipelineError
from pipeline.files import read_regular
from pipeline.video.content_hash import IMAGE_SUFFIXES, list_images
from pipeline.video.pixels import fit
from pipeline.video.records import Damage, Frame, Segment, Video


def open_folder(path: Path, segment_frames: int, image_fps: float) -> "ImageFolder":
    """Open the images of `path`, in natural order of their names, `image_fps` of them a second.

    An image's EXIF orientation is honoured. The first readable image sets the size.

    Raises:
        PipelineError: there is no image, or none that can be read.
    """
    if not image_fps > 0:
        raise PipelineError(f"{path}: {image_fps:g} images a second are not possible; a rate above 0 was expected")
    try:
        images = list_images(path)
    except OSError as error:
        raise PipelineError(f"{path}: cannot be listed: {error.strerror}") from error
    if not images:
        kinds = ", ".join(sorted(suffix.removeprefix(".") for suffix in IMAGE_SUFFIXES))
        inner = next((each for each in sorted(path.glob("*/**/")) if list_images(each)), None)
        hint = f"; did you mean {inner}?" if inner else ""
        raise PipelineError(f"{path}: no image in this folder; {kinds} were looked for{hint}")
    first = next((image for image in map(_load, images) if image is not None), None)
    if first is None:
        raise PipelineError(f"{path}: none of its {len(images)} images can be read")
    count = len(images)
    cuts = range(0, count, segment_frames)
    return ImageFolder(
        path=path,
        width=first.shape[1],
        height=first.shape[0],
        fps=image_fps,
        frame_count=count,
        codec="images",
        rotation=0,
        segments=tuple(Segment(n, at, min(at + segment_frames, count)) for n, at in enumerate(cuts)),
        times_from="rate",
        images=tuple(images),
    )


@dataclass(eq=False, kw_only=True)
class ImageFolder(Video):
    """An open folder of images; see `Video`. Every frame is a key frame."""

    images: tuple[Path, ...] = field(repr=False)

    def read(self, segment: Segment, damage: list[Damage] | None = None) -> Iterator[Frame]:
        """The images of `segment`; see `Video.read`."""
        found = []
        for index in range(segment.first, segment.stop):
            time = index / self.fps
            image = _load(self.images[index])
            if image is None:
                found.append(Damage(index, time, f"{self.images[index].name} cannot be read as an image"))
                continue
            size = (image.shape[1], image.shape[0])
            if size != (self.width, self.height):
                what = f"its size is {size[0]}x{size[1]}, scaled to {self.width}x{self.height}"
                found.append(Damage(index, time, what, lost=False))
                image = fit(image, (self.width, self.height))
            yield Frame(index, time, True, False, False, image)
        if damage is not None:
            damage.extend(found)


def _load(path: Path) -> NDArray[np.uint8] | None:
    """uint8 (H, W, 3) RGB, or None."""
    try:
        data = np.frombuffer(read_regular(path), np.uint8)  # not imread: it fails on some names on some systems
        image = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    except (OSError, cv2.error):
        return None
    return None if image is None else np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)
