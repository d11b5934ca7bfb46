"""Reading, scaling and conversion of images for a model, and of its boxes back to the original image."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from detector.config import Resize
from detector.errors import DetectorError
from detector.files import read_regular
from detector.records import Detections

_MIN_SIDE = 8  # px: a smaller image shows no person, whatever the model finds in it


@dataclass(frozen=True, eq=False)
class Prepared:
    """An image scaled for the model.

    Attributes:
        tensor: uint8 (3, h, w), RGB.
        width: of the original image, in pixels.
        height: of the original image, in pixels.

    """

    tensor: torch.Tensor
    width: int
    height: int

    @property
    def too_small(self) -> bool:
        """Whether the original is too small to show a person."""
        return is_too_small(self.width, self.height)


def is_too_small(width: int, height: int) -> bool:
    """Whether an image of `width` x `height` px is too small to show a person."""
    return min(width, height) < _MIN_SIDE


def read_image(path: Path) -> NDArray[np.uint8]:
    """The image in `path`, uint8 (H, W, 3) RGB.

    Raises:
        DetectorError: missing, or not an image that OpenCV can read.

    """
    try:
        data = np.frombuffer(read_regular(path), np.uint8)
    except OSError as error:
        raise DetectorError(f"{path}: cannot be read: {error.strerror}") from None
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    if image is None:
        raise DetectorError(f"{path}: not a readable image; expected a JPEG, PNG or similar file")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))


def resize(
    image: NDArray[np.uint8], width: int, height: int, how: Literal["area", "bilinear"] = "area"
) -> NDArray[np.uint8]:
    """`image` (uint8 (H, W, 3)) scaled to `height` x `width`.

    `area` averages areas where the image shrinks; `bilinear` is Pillow's, whose triangle widens as it shrinks.
    """
    if (width, height) == (image.shape[1], image.shape[0]):
        return image
    if how == "bilinear":
        return np.array(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))
    shrinks = width * height < image.shape[0] * image.shape[1]
    return np.asarray(
        cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    )


def to_tensor(image: NDArray[np.uint8]) -> torch.Tensor:
    """`image` (uint8 (H, W, 3)) as a uint8 (3, H, W) tensor; the model normalises it."""
    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)


def scaled(image: NDArray[np.uint8], rule: Resize) -> Prepared:
    """`image` (uint8 (H, W, 3) RGB), scaled by `rule`.

    Raises:
        ValueError: `image` has another type or shape.

    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ValueError(f"an image must be uint8 (H, W, 3), not {image.dtype} {image.shape}")
    height, width = image.shape[:2]
    return Prepared(to_tensor(resize(image, *rule.size(width, height), rule.filter)), width, height)


def to_original(boxes: NDArray[np.float32], scores: NDArray[np.float32], image: Prepared) -> Detections:
    """The boxes found in the scaled `image` as detections in pixels of the original, best first.

    Args:
        boxes: (n, 4) xyxy in px of the scaled image.
        scores: (n,).
        image: the scaled image.

    """
    height, width = image.tensor.shape[1:]
    ratio = np.array([image.width / width, image.height / height] * 2, np.float32)
    return as_detections(boxes * ratio, scores, image.width, image.height)


def as_detections(boxes: NDArray[Any], scores: NDArray[Any], width: int, height: int) -> Detections:
    """Boxes ((n, 4) xyxy in px) and scores (n,) of an image of `width` x `height`: clipped, best first.

    Boxes and scores that are not finite are left out.
    """
    limit = np.array([width, height] * 2, np.float32)
    boxes = np.clip(boxes, 0, limit).astype(np.float32)
    finite = np.isfinite(boxes).all(axis=1) & np.isfinite(scores)
    order = np.argsort(-scores[finite], kind="stable")
    return Detections(boxes[finite][order], scores[finite][order].astype(np.float32))
