"""Reading crops as images of one size; importable without torch."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from reid.errors import ReidError
from reid.files import read_regular
from reid.records import Picture

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def read_crop(path: Path | Picture, height: int, width: int) -> NDArray[np.uint8]:
    """The image in `path`, scaled to uint8 (height, width, 3) RGB its aspect ratio ignored, as in the paper.

    Raises:
        ReidError: missing, or not an image that OpenCV can read.

    """
    try:
        content = read_regular(path) if isinstance(path, Path) else path.read_bytes()
        data = np.frombuffer(content, np.uint8)
    except OSError as error:
        raise ReidError(f"{path}: cannot be read: {error.strerror}") from None
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    if image is None:
        raise ReidError(f"{path}: not an image that can be decoded; expected JPEG, PNG or another format of OpenCV")
    return scaled(np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB)), height, width)


def scaled(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """The image, uint8 (h, w, 3), scaled to `height` x `width`; areas are averaged where it shrinks."""
    shrinks = height * width < image.shape[0] * image.shape[1]
    return np.asarray(
        cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    )
