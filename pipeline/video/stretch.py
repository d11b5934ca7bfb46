"""Pictures of more than 8 bits whose values fill a small part of their range, as thermal cameras write them."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_SMALL = 0.25  # of the whole range: pictures that fill more are scaled as a whole
_TAILS = (0.1, 99.9)  # percent: single dead or hot pixels say nothing about the range


@dataclass(frozen=True)
class Stretch:
    """The values that become 0 and 255."""

    low: float
    high: float

    def __str__(self) -> str:
        """The values in words."""
        return f"values from {self.low:.6g} to {self.high:.6g} are stretched to 0 to 255"

    def __call__(self, image: NDArray[np.generic]) -> NDArray[np.uint8]:
        """`image` of any shape as uint8."""
        share = (image.astype(np.float32) - self.low) / (self.high - self.low)
        return np.asarray(np.nan_to_num(np.clip(share, 0, 1)) * 255 + 0.5, np.uint8)


def find_stretch(images: Iterable[NDArray[np.generic]], bits: int = 16) -> Stretch | None:
    """The common stretch of pictures of more than 8 bits; None if there are none, or they fill their range.

    Args:
        images: some of a video's, so that all of its frames are stretched alike; those of 8 bits are ignored.
        bits: of a sample that is a whole number; other numbers have no range to fill.

    """
    deep = [image for image in images if image.dtype != np.uint8 and np.isfinite(image).any()]
    if not deep:
        return None
    tails = np.array([np.percentile(image[np.isfinite(image)], _TAILS) for image in deep], np.float64)
    low, high = float(tails[:, 0].min()), float(tails[:, 1].max())
    whole = all(np.issubdtype(image.dtype, np.integer) for image in deep)
    if high <= low or (whole and high - low > _SMALL * 2**bits):
        return None
    return Stretch(low, high)
