"""The video with the boxes drawn on it, for people to look at."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import closing
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import av
import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from detector.records import Detections
from pipeline.engine.threads import prefetch
from pipeline.stages.detect import detections_by_frame
from pipeline.video import Frame, Video
from pipeline.video.pixels import tag_colours
from pipeline.workspace.atomic import atomic_file

_TIME_BASE = Fraction(1, 90_000)
AMBER = (255, 196, 0)  # of a person without an identity: neither grass, asphalt nor most clothes
_LETTERS = 13  # px
_THICK = 4  # px: the box of the person that a clip is about


class Tag(NamedTuple):
    """What is written beside a box, and the colour of both, 0 to 255 each of red, green, blue."""

    text: str
    colour: tuple[int, int, int] = AMBER


def draw(
    image: NDArray[np.uint8],
    detections: Detections,
    scale: float,
    tags: Sequence[Tag] | None = None,
    wanted: Collection[str] = (),
) -> NDArray[np.uint8]:
    """`image` (uint8 (H, W, 3) RGB) scaled by `scale`, even-sized, with a box and a tag for each person.

    Args:
        image: see there.
        detections: the persons.
        scale: see there.
        tags: of the detections; None: their scores.
        wanted: texts of the tags whose boxes are thick.

    """
    height, width = image.shape[:2]
    size = _even(width * scale), _even(height * scale)
    canvas = np.ascontiguousarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))
    ratio = np.array([size[0] / width, size[1] / height] * 2)
    tags = tags or [Tag(f"{score:.2f}") for score in detections.scores]
    for box, tag in zip(detections.boxes, tags, strict=True):
        x1, y1, x2, y2 = (int(value) for value in np.rint(box * ratio))
        cv2.rectangle(canvas, (x1, y1), (x2, y2), tag.colour, _THICK if tag.text in wanted else 2, cv2.LINE_AA)
        picture = _written(tag.text, tag.colour)
        rows, columns = picture.shape[:2]
        top = y1 - rows if y1 >= rows else y2  # below where there is no room above
        left = max(0, min(x1 - 1, size[0] - columns))
        part = canvas[max(top, 0) : top + rows, left : left + columns]
        part[:] = picture[: part.shape[0], : part.shape[1]]
    return canvas


@lru_cache(1024)  # a text is drawn once, not in every frame
def _written(text: str, colour: tuple[int, int, int]) -> NDArray[np.uint8]:
    """`text` in black on `colour`, uint8 (h, w, 3); OpenCV's own letters are ASCII, and names are not."""
    font = _font()
    left, _, right, _ = font.getbbox(text)
    ascent, descent = font.getmetrics()
    picture = Image.new("RGB", (max(1, round(right - left) + 5), ascent + descent + 1), colour)
    ImageDraw.Draw(picture).text((2 - left, 0), text, (0, 0, 0), font)
    return np.asarray(picture, np.uint8)


@lru_cache(1)
def _font() -> ImageFont.FreeTypeFont:
    from matplotlib import get_data_path  # it comes with a font of Latin, Greek and Cyrillic letters

    return ImageFont.truetype(Path(get_data_path()) / "fonts/ttf/DejaVuSans.ttf", _LETTERS)


def write_overlay(
    output: Path,
    video: Video,
    boxes: pd.DataFrame,
    *,
    max_width: int,
    crf: int,
    advance: Callable[[int], None],
    wanted: Collection[str] = (),
    frames: Iterable[Frame] | None = None,
) -> int:
    """Write `output` (H.264 in mp4): each frame at its own time, with boxes and tags.

    Args:
        output: the file.
        video: see there.
        boxes: what is drawn: frame, x1 … y2, score, tag (a `Tag`).
        max_width: of the picture, px.
        crf: quality.
        advance: called with the number of frames written.
        wanted: as for `draw`.
        frames: those of `video` to write; None: all.

    Returns:
        The number of frames written.

    """
    scale = min(1.0, max_width / video.width)
    found = detections_by_frame(boxes)
    tags = {int(rows["frame"].iloc[0]): rows["tag"].tolist() for _, rows in boxes.groupby("frame")}

    def picture(frame: Frame) -> NDArray[np.uint8]:
        return draw(frame.image, found.get(frame.index, Detections.empty()), scale, tags.get(frame.index), wanted)

    shown = video.read_all() if frames is None else frames
    return write_video(output, shown, picture, fps=video.fps, max_width=max_width, crf=crf, advance=advance)


def frames_between(video: Video, wanted: Sequence[int]) -> Iterator[Frame]:
    """The frames with the indices `wanted`, in order; only the segments that have some of them are decoded."""
    indices = set(wanted)
    for segment in video.segments:
        if segment.first <= wanted[-1] and wanted[0] < segment.stop:
            for frame in video.read(segment):
                if frame.index in indices:
                    yield frame


def write_video(
    output: Path,
    frames: Iterable[Frame],
    picture: Callable[[Frame], NDArray[np.uint8]],
    *,
    fps: float,
    max_width: int,
    crf: int,
    advance: Callable[[int], None],
) -> int:
    """Write `output` (H.264 in mp4): what `picture` makes of each of `frames`, at the frame's own time.

    Pictures wider than `max_width` are scaled down. There is no sound, no subtitle and no metadata.

    Returns:
        The number of frames written.

    """

    def made() -> Iterator[tuple[Frame, NDArray[np.uint8]]]:
        for frame in frames:
            yield frame, _fitting(picture(frame), max_width)

    written = 0
    with atomic_file(output) as temporary, av.open(str(temporary), "w", format="mp4") as container:
        stream = None
        with closing(prefetch(made(), 4)) as pictures:
            for frame, image in pictures:
                if stream is None:
                    stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
                    stream.width, stream.height = image.shape[1], image.shape[0]
                    stream.pix_fmt = "yuv420p"
                    stream.options = {"crf": str(crf), "preset": "veryfast"}
                    stream.codec_context.time_base = _TIME_BASE
                    tag_colours(stream.codec_context)
                encoded = av.VideoFrame.from_ndarray(image, format="rgb24")
                encoded.pts, encoded.time_base = round(frame.pts_s / _TIME_BASE), _TIME_BASE
                container.mux(stream.encode(encoded))
                written += 1
                advance(1)
        if stream is not None:
            container.mux(stream.encode())
    return written


def _fitting(image: NDArray[np.uint8], max_width: int) -> NDArray[np.uint8]:
    """`image`, at most `max_width` px wide, both sides even, as H.264 wants them."""
    height, width = image.shape[:2]
    scale = min(1.0, max_width / width)
    size = _even(width * scale), _even(height * scale)
    if size == (width, height):
        return image
    return np.ascontiguousarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))


def _even(side: float) -> int:
    return max(2, round(side) // 2 * 2)
