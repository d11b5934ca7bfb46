"""Making people in a picture unrecognisable, and where they are also in frames in which nobody was detected."""

from collections import defaultdict
from collections.abc import Mapping
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.boxes import Tracked

Boxes = NDArray[np.float32]
_MARGIN = 0.15  # of a box's sides: hair and hands stick out of boxes
_HEAD = 0.3  # of a box's height, from the top: a head is a seventh of a person, and boxes sit loosely
_CELLS = (3, 6)  # what is left of a person, in width and height: colours of clothes, no face and no gait
_HELD_S = 0.5  # a tracklet's box is held this long before its first and after its last detection


def pixelate(image: NDArray[np.uint8], boxes: Boxes, *, heads: bool = False) -> NDArray[np.uint8]:
    """A copy of `image` (uint8 (H, W, 3)) in which each of `boxes` (float32 (n, 4) xyxy) is a few large cells.

    Args:
        image: the picture.
        boxes: persons.
        heads: only the upper part of each box, where the head of somebody upright is; no face is looked for.

    """
    canvas = image.copy()
    for box in boxes:
        left, top, right, bottom = window(_head(box) if heads else box, image.shape[1], image.shape[0])
        if right > left and bottom > top:
            part = np.ascontiguousarray(image[top:bottom, left:right])
            size = (1, 1) if heads else _CELLS
            cells = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
            canvas[top:bottom, left:right] = cv2.resize(
                cells, (right - left, bottom - top), interpolation=cv2.INTER_NEAREST
            )
    return canvas


def paint_over(image: NDArray[np.uint8], boxes: Boxes) -> NDArray[np.uint8]:
    """A copy of `image` (uint8 (H, W) or (H, W, 3)) in which each of `boxes` is grey: nothing is left of it."""
    canvas = image.copy()
    for box in boxes:
        left, top, right, bottom = window(box, image.shape[1], image.shape[0])
        canvas[top:bottom, left:right] = 128
    return canvas


def window(box: NDArray[np.floating], width: int, height: int) -> tuple[int, int, int, int]:
    """The whole pixels of `box` (xyxy) with a margin, inside the picture: left, top, right, bottom."""
    x1, y1, x2, y2 = (float(value) for value in box)
    margin_x, margin_y = _MARGIN * (x2 - x1), _MARGIN * (y2 - y1)
    left, right = np.clip([np.floor(x1 - margin_x), np.ceil(x2 + margin_x)], 0, width).astype(int).tolist()
    top, bottom = np.clip([np.floor(y1 - margin_y), np.ceil(y2 + margin_y)], 0, height).astype(int).tolist()
    return left, top, right, bottom


def _head(box: NDArray[np.floating]) -> NDArray[np.floating]:
    return np.array([box[0], box[1], box[2], box[1] + _HEAD * (box[3] - box[1])])


def follow(tracked: Mapping[int, Tracked], times: Mapping[int, float]) -> dict[int, Boxes]:
    """Where the persons of tracklets are in every frame, float32 (n, 4) by frame.

    Between two detections of a tracklet linearly in time; half a second before its first and after its last,
    where these are.

    Args:
        tracked: boxes and tracklets by frame.
        times: seconds of each frame.

    """
    paths: dict[int, list[tuple[int, Boxes]]] = defaultdict(list)
    for frame in sorted(tracked):
        for number, box in zip(tracked[frame].tracklets.tolist(), tracked[frame].boxes, strict=True):
            paths[number].append((frame, box))
    ordered = sorted(times)
    found: dict[int, list[Boxes]] = defaultdict(list)
    for path in paths.values():
        for frame, box in _along(path, ordered, times):
            found[frame].append(box)
    return {frame: np.stack(boxes) for frame, boxes in found.items()}


def _along(path: list[tuple[int, Boxes]], frames: list[int], times: Mapping[int, float]) -> list[tuple[int, Boxes]]:
    (first, begin), (last, end) = path[0], path[-1]
    result = list(path)
    for (before, one), (after, other) in pairwise(path):
        span = max(times[after] - times[before], 1e-9)
        for frame in frames[np.searchsorted(frames, before) + 1 : np.searchsorted(frames, after)]:
            share = (times[frame] - times[before]) / span
            result.append((frame, ((1 - share) * one + share * other).astype(np.float32)))
    result += [(frame, begin) for frame in frames if frame < first and times[first] - times[frame] <= _HELD_S]
    result += [(frame, end) for frame in frames if frame > last and times[frame] - times[last] <= _HELD_S]
    return result
