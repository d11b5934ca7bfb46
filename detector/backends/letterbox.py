"""Placing of an image into a model's input of fixed size, and the way back for its boxes."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from detector.backends.images import Prepared, as_detections, is_too_small, scaled
from detector.config import Resize
from detector.records import Detections

Fit = Literal["centre", "top-left", "stretch"]
_GREY = 114  # of the margins: YOLO models are trained with it


@dataclass(frozen=True, eq=False)
class Placed:
    """An image in a model's input.

    Attributes:
        pixels: uint8 (3, h, w), RGB.
        scale: (2,), pixels of the input per pixel of the image, in x and y.
        offset: (2,), of the image's top left corner in the input, px.
        width: of the image, px.
        height: of the image, px.

    """

    pixels: NDArray[np.uint8]
    scale: NDArray[np.float64]
    offset: NDArray[np.float64]
    width: int
    height: int

    @classmethod
    def of(cls, prepared: Prepared) -> "Placed":
        """An image that was scaled and has no margins."""
        height, width = prepared.tensor.shape[1:]
        scale = np.array([width / prepared.width, height / prepared.height])
        return cls(prepared.tensor.numpy(), scale, np.zeros(2), prepared.width, prepared.height)

    @property
    def too_small(self) -> bool:
        """Whether the image is too small to show a person."""
        return is_too_small(self.width, self.height)

    def to_original(self, boxes: NDArray[np.float32], scores: NDArray[np.float32]) -> Detections:
        """Boxes ((n, 4) xyxy in px of the input) with their scores (n,), in pixels of the image, best first."""
        moved = (boxes - np.tile(self.offset, 2)) / np.tile(self.scale, 2)
        return as_detections(moved, scores, self.width, self.height)


def place(image: NDArray[np.uint8], width: int, height: int, fit: Fit) -> Placed:
    """`image` (uint8 (H, W, 3) RGB) in an input of `height` x `width` px.

    `stretch` fills the input. The others keep the aspect, and fill the margins with grey: right and below
    (`top-left`), or on both sides (`centre`).

    Raises:
        ValueError: `image` has another type or shape.

    """
    prepared = scaled(image, Resize(width=width, height=height, keep_aspect=fit != "stretch"))
    inner = Placed.of(prepared)
    rows, columns = inner.pixels.shape[1:]
    left, top = (width - columns, height - rows) if fit == "centre" else (0, 0)
    left, top = left // 2, top // 2
    pixels = np.full((3, height, width), _GREY, np.uint8)
    pixels[:, top : top + rows, left : left + columns] = inner.pixels
    return Placed(pixels, inner.scale, np.array([left, top], float), inner.width, inner.height)
