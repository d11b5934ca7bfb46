"""Writing pictures: JPEG files that are whole or absent, on any kind of path."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import PipelineError


def encode_jpeg(image: NDArray[np.uint8], quality: int) -> bytes:
    """`image` (uint8 (H, W, 3) RGB) as a JPEG file's bytes."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise PipelineError(f"an image of {image.shape[1]}x{image.shape[0]} pixels cannot be written as JPEG")
    return data.tobytes()


def write_jpeg(path: Path, image: NDArray[np.uint8], quality: int) -> None:
    """Write `image` (uint8 (H, W, 3) RGB) to `path`; unlike `cv2.imwrite`, a full disk is an error."""
    path.write_bytes(encode_jpeg(image, quality))
