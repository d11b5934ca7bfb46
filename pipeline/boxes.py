"""Boxes of persons: how they overlap, and which tracklet they belong to. xyxy, pixels of the frame."""

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
