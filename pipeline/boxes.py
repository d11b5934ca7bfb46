"""Boxes of persons (xyxy, pixels of the frame): overlap, the pixels they cover, and their tracklets."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Tracked:
    """The boxes of one frame that belong to a tracklet.

    Attributes:
        boxes: float (n, 4) xyxy, pixels.
        tracklets: int64 (n,).

    """

    boxes: NDArray[np.floating]
    tracklets: NDArray[np.int64]


def iou(first: NDArray[np.floating], second: NDArray[np.floating]) -> NDArray[np.float64]:
    """Intersection over union of xyxy boxes (n, 4) and (m, 4): float64 (n, m)."""
    overlap = intersection(first, second)
    area_first = (first[:, 2:] - first[:, :2]).astype(np.float64).prod(axis=1)
    area_second = (second[:, 2:] - second[:, :2]).astype(np.float64).prod(axis=1)
    union = area_first[:, None] + area_second[None] - overlap
    return np.asarray(overlap / np.maximum(union, 1e-9))


def intersection(first: NDArray[np.floating], second: NDArray[np.floating]) -> NDArray[np.float64]:
    """Common area of xyxy boxes (n, 4) and (m, 4), square pixels: float64 (n, m)."""
    low = np.maximum(first[:, None, :2], second[None, :, :2]).astype(np.float64)
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    return np.asarray(np.clip(high - low, 0, None).prod(axis=2))


def pixel_window(box: NDArray[np.floating], padding: float, width: int, height: int) -> tuple[int, int, int, int]:
    """The whole pixels of `box` (4,), padded by `padding` of its sides, inside an image of `width` x `height`.

    Returns:
        left, top, right, bottom; right and bottom exclusive, at least one pixel each way.

    """
    x1, y1, x2, y2 = (float(value) for value in box)
    margin_x, margin_y = (x2 - x1) * padding, (y2 - y1) * padding
    left = min(max(int(np.floor(x1 - margin_x)), 0), width - 1)
    top = min(max(int(np.floor(y1 - margin_y)), 0), height - 1)
    right = max(min(int(np.ceil(x2 + margin_x)), width), left + 1)
    bottom = max(min(int(np.ceil(y2 + margin_y)), height), top + 1)
    return left, top, right, bottom
