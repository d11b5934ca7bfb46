"""Images on their way to the model: reading, scaling, and the tensor that the model takes."""

from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from detector.config import Resize
from detector.errors import DetectorError


def read_image(path: Path) -> NDArray[np.uint8]:
    """The image in `path`, uint8 (H, W, 3) RGB.

    Raises:
        DetectorError: missing, or not an image that OpenCV can read.

    """
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise DetectorError(f"{path}: cannot be read: {error.strerror}") from None
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    if image is None:
        raise DetectorError(f"{path}: not an image that can be read; expected JPEG, PNG or the like")
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
    """`image` (uint8 (H, W, 3)) as a uint8 (3, H, W) tensor; the model itself normalises."""
    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)


def prepare(image: NDArray[np.uint8], rule: Resize) -> torch.Tensor:
    """Scale `image` (uint8 (H, W, 3) RGB) by `rule`: uint8 (3, h, w)."""
    return to_tensor(resize(image, *rule.size(image.shape[1], image.shape[0]), rule.filter))
