"""Detections, the record that every backend returns, and the arithmetic of boxes (xyxy, pixels)."""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Detections:
    """Persons found in one image.

    Attributes:
        boxes: float32 (n, 4), xyxy in pixels of the original image, origin at its top left corner.
        scores: float32 (n,), in [0, 1], highest first.

    Raises:
        ValueError: a shape, a type or the order of the scores is not as above.

    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.boxes.dtype != np.float32 or self.boxes.ndim != 2 or self.boxes.shape[1] != 4:
            raise ValueError(f"boxes must be float32 (n, 4), not {self.boxes.dtype} {self.boxes.shape}")
        if self.scores.dtype != np.float32 or self.scores.shape != self.boxes.shape[:1]:
            raise ValueError(
                f"scores must be float32 ({len(self.boxes)},), not {self.scores.dtype} {self.scores.shape}"
            )
        if np.any(np.diff(self.scores) > 0):
            raise ValueError("scores must fall: highest first")

    @classmethod
    def empty(cls) -> Self:
        """Those of an image without persons."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, chosen: slice | NDArray[np.bool_] | NDArray[np.integer[Any]]) -> Self:
        """The detections that a slice, a mask bool (n,) or indices choose; the highest score must stay first."""
        return replace(self, boxes=self.boxes[chosen], scores=self.scores[chosen])

    @property
    def heights(self) -> NDArray[np.float32]:
        """Heights of the boxes: float32 (n,), px."""
        return self.boxes[:, 3] - self.boxes[:, 1]

    def above(self, threshold: float) -> Self:
        """The detections whose score is at least `threshold`."""
        return self[self.scores >= threshold]


def sides(boxes: NDArray[Any]) -> NDArray[Any]:
    """Widths and heights of boxes (…, 4): (…, 2), px."""
    return boxes[..., 2:] - boxes[..., :2]


def areas(boxes: NDArray[Any]) -> NDArray[Any]:
    """Areas of boxes (…, 4): (…), px²."""
    return np.asarray(sides(boxes).prod(axis=-1))


def intersections(first: NDArray[Any], second: NDArray[Any]) -> NDArray[Any]:
    """Common areas of two arrays of boxes (…, 4) that NumPy can broadcast: (…), px²."""
    low = np.maximum(first[..., :2], second[..., :2])
    high = np.minimum(first[..., 2:], second[..., 2:])
    return np.asarray((high - low).clip(0).prod(axis=-1))


def as_xywh(boxes: NDArray[Any]) -> NDArray[Any]:
    """Boxes (n, 4) as left, top, width and height: (n, 4), px."""
    return np.concatenate([boxes[:, :2], sides(boxes)], axis=1)
