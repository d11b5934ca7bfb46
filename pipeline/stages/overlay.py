"""The video with the boxes drawn on it, for people to look at."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from detector.records import Detections
from pipeline.engine.threads import prefetch
from pipeline.video import Frame, Video
from pipeline.workspace.atomic import atomic_file

_TIME_BASE = Fraction(1, 90_000)
_COLOUR = (255, 196, 0)  # amber: neither grass, asphalt nor most clothes


def draw(
    image: NDArray[np.uint8], detections: Detections, scale: float, labels: Sequence[str] | None = None
) -> NDArray[np.uint8]:
    """`image` (uint8 (H, W, 3) RGB) scaled by `scale`, even-sized, with a box and a label or score per person."""
    height, width = image.shape[:2]
    size = _even(width * scale), _even(height * scale)
    canvas = np.ascontiguousarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))
    ratio = np.array([size[0] / width, size[1] / height] * 2)
    labels = labels or [f"{score:.2f}" for score in detections.scores]
    for box, label in zip(detections.boxes, labels, strict=True):
        x1, y1, x2, y2 = (int(value) for value in np.rint(box * ratio))
        cv2.rectangle(canvas, (x1, y1), (x2, y2), _COLOUR, 2, cv2.LINE_AA)
        (text_width, text_height), _ = cv2.getTextSize(label, cv2.FONT_HERSHEY_SIMPLEX, 0.4, 1)
        top = y1 - text_height - 5 if y1 > text_height + 5 else y2  # below where there is no room above
        cv2.rectangle(canvas, (x1 - 1, top), (x1 + text_width + 3, top + text_height + 5), _COLOUR, cv2.FILLED)
        cv2.putText(
            canvas,
            label,
            (x1 + 1, top + text_height + 2),
            cv2.FONT_HERSHEY_SIMPLEX,
            0.4,
            (0, 0, 0),
            1,
            cv2.LINE_AA,
        )
    return canvas


def write_overlay(
    output: Path,
    video: Video,
    detections: dict[int, Detections],
    *,
    threshold: float,
    max_width: int,
    crf: int,
    advance: Callable[[int], None],
) -> int:
    """Write `output` (H.264 in mp4): each frame at its own time, boxes from `threshold` up.

    Returns:
        The number of frames written.

    """
    scale = min(1.0, max_width / video.width)
    none = Detections(np.empty((0, 4), np.float32), np.empty(0, np.float32))

    def picture(frame: Frame) -> NDArray[np.uint8]:
        return draw(frame.image, detections.get(frame.index, none).above(threshold), scale)

    return write_video(
        output, video.read_all(), picture, fps=video.fps, max_width=max_width, crf=crf, advance=advance
    )


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
