"""Redaction: making people in a picture unrecognisable, also in frames where only a tracklet places them."""

from collections import defaultdict
from collections.abc import Mapping
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.boxes import Tracked, pixel_window

Boxes = NDArray[np.float32]
_MARGIN = 0.15  # of a box's sides: hair and hands stick out of boxes
_HEAD = 0.3  # of a box's height, from the top: a head is a seventh of a person, and boxes sit loosely
_CELLS = (3, 6)  # in width and height of a person: colours of clothes remain, no face and no gait
_HELD_S = 0.5  # a tracklet's box is kept this long before its first and after its last detection


def pixelate(image: NDArray[np.uint8], boxes: Boxes, *, heads: bool = False) -> NDArray[np.uint8]:
    """A copy of `image` (uint8 (H, W, 3)) in which each of `boxes` (float32 (n, 4) xyxy) is a few large cells.

    Args:
        image: the picture.
        boxes: persons.
        heads: only the upper part of each box, the head of an upright person; faces are not detected.

    """
    canvas, (height, width) = image.copy(), image.shape[:2]
    for box in boxes:
        left, top, right, bottom = pixel_window(_head(box) if heads else box, _MARGIN, width, height)
        part = np.ascontiguousarray(image[top:bottom, left:right])
        cells = cv2.resize(part, (1, 1) if heads else _CELLS, interpolation=cv2.INTER_AREA)
        size = right - left, bottom - top
        canvas[top:bottom, left:right] = cv2.resize(cells, size, interpolation=cv2.INTER_NEAREST)
    return canvas


def paint_over(image: NDArray[np.uint8], boxes: Boxes) -> NDArray[np.uint8]:
    """A copy of `image` (uint8 (H, W) or (H, W, 3)) in which each of `boxes` is grey: nothing is left of it."""
    canvas = image.copy()
    for box in boxes:
        left, top, right, bottom = pixel_window(box, _MARGIN, image.shape[1], image.shape[0])
        canvas[top:bottom, left:right] = 128
    return canvas


def _head(box: NDArray[np.floating]) -> NDArray[np.floating]:
    return np.array([box[0], box[1], box[2], box[1] + _HEAD * (box[3] - box[1])])


def follow(tracked: Mapping[int, Tracked], times: Mapping[int, float]) -> dict[int, Boxes]:
    """Where the persons of tracklets are in every frame, float32 (n, 4) by frame.

    Between two detections of a tracklet linearly in time; half a second before its first and after its last,
    where these exist.

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
