"""A folder of images, read as a video."""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import PipelineError
from pipeline.files import read_regular
from pipeline.video.content_hash import IMAGE_SUFFIXES, VIDEO_SUFFIXES, list_images
from pipeline.video.pixels import fit
from pipeline.video.records import Damage, Frame, Segment, Video
from pipeline.video.stretch import Stretch, find_stretch
from pipeline.words import counted

_UNREAD = {
    ".heic",
    ".heif",
    ".avif",
    ".jp2",
    ".j2k",
    ".jpx",
    ".jxl",
    ".gif",
    ".dng",
    ".raw",
    ".arw",
    ".cr2",
    ".cr3",
}
_UNREAD |= {".nef", ".orf", ".rw2", ".raf", ".pef", ".ppm", ".pgm", ".svg", ".pdf"}
_LOOKED_AT = 16  # images that the range of values is taken from

log = logging.getLogger("uavpipe")


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
    others = _other_pictures(path)
    if not images:
        raise PipelineError(f"{path}: no image in this folder; {_what_instead(path, others)}")
    if others:
        log.warning("%s: %s; the %d images are the flight", path, others, len(images))
    stretch = _common_stretch(images)
    if stretch:
        log.warning("%s: pictures of more than 8 bits; %s", path, stretch)
    first = next((image for image in (_load(image, stretch) for image in images) if image is not None), None)
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
        stretch=stretch,
    )


@dataclass(eq=False, kw_only=True)
class ImageFolder(Video):
    """An open folder of images; see `Video`. Every frame is a key frame."""

    images: tuple[Path, ...] = field(repr=False)
    stretch: Stretch | None = None

    def read(self, segment: Segment, damage: list[Damage] | None = None) -> Iterator[Frame]:
        """The images of `segment`; see `Video.read`."""
        found = []
        for index in range(segment.first, segment.stop):
            time = index / self.fps
            image = _load(self.images[index], self.stretch)
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


def _other_pictures(folder: Path) -> str:
    """What else in `folder` shows something, but is not read as an image; empty if nothing."""
    files = [path.name for path in folder.iterdir() if not path.name.startswith(".")]
    suffixes = Counter(Path(name).suffix.lower() for name in files)
    unread = sorted(suffixes.keys() & _UNREAD)
    videos = sorted(name for name in files if Path(name).suffix.lower() in VIDEO_SUFFIXES)
    found = []
    if unread:
        kinds = ", ".join(suffix.removeprefix(".") for suffix in unread)
        found.append(
            f"{sum(suffixes[suffix] for suffix in unread)} pictures are of a kind that is not read ({kinds})"
        )
    if videos:
        names = ", ".join(videos[:3]) + ", …" * (len(videos) > 3)
        found.append(f"it holds {counted(len(videos), 'video')} ({names})")
    return " and ".join(found)


def _what_instead(folder: Path, others: str) -> str:
    """What to do about a `folder` without images."""
    kinds = ", ".join(sorted(suffix.removeprefix(".") for suffix in IMAGE_SUFFIXES))
    if "it holds" in others:
        return f"{others}; name each itself, on the command line or in 'videos:'"
    if others:
        return f"{others}; convert them to one of {kinds}"
    inner = next((each for each in sorted(folder.glob("*/**/")) if list_images(each)), None)
    return f"{kinds} were looked for" + (f"; did you mean {inner}?" if inner else "")


def _common_stretch(images: Sequence[Path]) -> Stretch | None:
    """How pictures of more than 8 bits are made brighter, from some of them; None: not at all."""
    first = _decode(images[0])
    if first is not None and first.dtype == np.uint8:
        return None
    some = images[:: -(-len(images) // _LOOKED_AT)]
    return find_stretch(image for image in map(_decode, some) if image is not None)


def _load(path: Path, stretch: Stretch | None) -> NDArray[np.uint8] | None:
    """uint8 (H, W, 3) RGB, or None."""
    image = _decode(path)
    if image is None:
        return None
    if image.dtype != np.uint8:
        image = stretch(image) if stretch else np.asarray(np.clip(image // 256, 0, 255), np.uint8)
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def _decode(path: Path) -> NDArray[Any] | None:
    """(H, W, 3) BGR with the values of the file, or None."""
    try:
        data = np.frombuffer(read_regular(path), np.uint8)  # not imread: it fails on some names on some systems
        image = cv2.imdecode(data, cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH) if len(data) else None
    except (OSError, cv2.error):
        return None
    return image if image is None or image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
