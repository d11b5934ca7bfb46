"""Cutting the labelling app's clips out of a video."""

import math
from collections.abc import Iterator, Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from annotate.app.clips import Clip
from annotate.records import Box
from pipeline.errors import PipelineError
from pipeline.video import Frame, Video
from pipeline.workspace.jpeg import encode_jpeg

AROUND_S = 3.0  # before and after the frame that was asked for
_WINDOWS = 90  # at most: of a faster video, every other frame, say
_HEIGHTS = 3.0  # of the person's box, that a window shows
_SMALLEST = 48.0  # px of the frame
_SCREEN = 240  # px of a window in the picture
_QUALITY = 80
_OUTLINE = ((0, 0, 0), 3), ((255, 196, 0), 1)  # colour and width, px: seen on light and on dark ground


def cut_clip(video: Video, boxes: Mapping[int, Box], frame: int) -> Clip:
    """The frames from 3 s before `frame` to 3 s after it, in windows that follow `boxes`, which are outlined.

    Args:
        video: it is read from.
        boxes: of a tracklet, by frame, in pixels; between them the window moves evenly.
        frame: index.

    Raises:
        PipelineError: none of these frames can be decoded.

    """
    reach = math.ceil(AROUND_S * float(video.fps))
    wanted = range(max(0, frame - reach), min(video.frame_count, frame + reach + 1))
    wanted = wanted[:: max(1, math.ceil(len(wanted) / _WINDOWS))]
    near = [box for at, box in boxes.items() if abs(at - frame) <= reach] or list(boxes.values())
    side = max(_SMALLEST, _HEIGHTS * max(y2 - y1 for _, y1, _, y2 in near))
    side = min(side, video.width, video.height)
    path = _Path(boxes)
    windows, frames = [], []
    for each in _read(video, wanted):
        windows.append(_window(each.image, path.middle(each.index), side, boxes.get(each.index)))
        frames.append((each.index, round(each.pts_s, 3)))
    if not windows:
        raise PipelineError(
            f"{video.path}: frame {frame} cannot be shown; the video has {video.frame_count} frames"
        )
    return Clip(encode_jpeg(np.concatenate(windows), _QUALITY), round(side, 1), frames)


def _read(video: Video, wanted: range) -> Iterator[Frame]:
    for segment in video.segments:
        if wanted and segment.first < wanted.stop and wanted.start < segment.stop:
            for frame in video.read(segment):
                if frame.index in wanted:
                    yield frame
                if frame.index >= wanted[-1]:
                    return


class _Path:
    """Where the middle of a tracklet's box is, by frame; before and after it, where it begins and ends."""

    def __init__(self, boxes: Mapping[int, Box]) -> None:
        self._frames = sorted(boxes)
        sides = np.array([boxes[frame] for frame in self._frames])
        self._middles = (sides[:, :2] + sides[:, 2:]) / 2

    def middle(self, frame: int) -> tuple[float, float]:
        """The x and y of it, in pixels of the frame."""
        x, y = (float(np.interp(frame, self._frames, self._middles[:, axis])) for axis in (0, 1))
        return x, y


def _window(
    image: NDArray[np.uint8], middle: tuple[float, float], side: float, box: Box | None
) -> NDArray[np.uint8]:
    """The square around `middle`, moved into the picture where it is beyond its edge: uint8 (240, 240, 3)."""
    height, width = image.shape[:2]
    left = min(max(middle[0] - side / 2, 0.0), width - side)
    top = min(max(middle[1] - side / 2, 0.0), height - side)
    x, y, size = round(left), round(top), max(1, math.floor(side))
    shown = cv2.resize(image[y : y + size, x : x + size], (_SCREEN, _SCREEN), interpolation=cv2.INTER_AREA)
    if box is not None:
        scale = _SCREEN / size
        corners = [round((value - start) * scale) for value, start in zip(box, (x, y, x, y), strict=True)]
        for colour, line in _OUTLINE:
            cv2.rectangle(shown, corners[:2], corners[2:], colour, line)
    return np.asarray(shown, np.uint8)
