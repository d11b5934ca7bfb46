"""Training crops: decoded once, kept at one size, and augmented a batch at a time."""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from reid.config import Augmentation
from reid.crops import IMAGENET_MEAN, read_crop
from reid.records import Picture

_SMALLEST = 0.2  # of an image's height: a person of 25 px at the bundled network's 128


class CropStore:
    """The crops of a data set at one size, each decoded once, when first used, if all fit into memory.

    Args:
        paths: of the images.
        height: of a scaled crop, px.
        width: of a scaled crop, px.
        cache_gb: memory for the crops; if they need more, each is decoded every time.

    """

    def __init__(self, paths: Sequence[Path | Picture], height: int, width: int, cache_gb: float) -> None:
        self._paths, self._size = paths, (height, width)
        fits = len(paths) * height * width * 3 <= cache_gb * 2**30
        # Not zeros: the system allocates only pages that are written, one crop at a time.
        self._kept = np.empty((len(paths), height, width, 3), np.uint8) if fits else None
        self._have = np.zeros(len(paths), bool)
        self._threads = ThreadPoolExecutor(thread_name_prefix="decode")

    def take(self, numbers: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The crops with these numbers: uint8 (n, height, width, 3) RGB.

        Raises:
            ReidError: one of them cannot be read.

        """
        if self._kept is None:
            return np.stack(list(self._threads.map(self._read, numbers)))
        missing = np.unique(numbers[~self._have[numbers]])
        for number, crop in zip(missing, self._threads.map(self._read, missing), strict=True):
            self._kept[number] = crop
            self._have[number] = True
        return self._kept[numbers]

    def _read(self, number: int) -> NDArray[np.uint8]:
        return read_crop(self._paths[number], *self._size)


@dataclass(frozen=True, eq=False)
class Draws:
    """The random choices for n images, each a function of (seed, sample number) alone.

    Attributes:
        table: float32 (n, 11), all of them: a GPU gets them in one copy.

    """

    table: Tensor

    @property
    def corner(self) -> NDArray[np.int64]:
        """Row and column of the crop's top left, px: (n, 2)."""
        return self.table.numpy()[:, :2].astype(np.int64)

    @property
    def flip(self) -> NDArray[np.bool_]:
        """Whether to mirror: (n,)."""
        return self.table.numpy()[:, 2] > 0

    @property
    def blank(self) -> NDArray[np.int64]:
        """Rows and columns (from, to) of the erased rectangle, px of the crop; or empty: (n, 4)."""
        return self.table.numpy()[:, 3:7].astype(np.int64)

    @property
    def colour(self) -> NDArray[np.float32]:
        """Factors of brightness, contrast and saturation: a view (n, 3)."""
        return np.asarray(self.table.numpy()[:, 7:10])

    @property
    def shrink(self) -> NDArray[np.float32]:
        """Factor by which the image is scaled down, and up again: a view (n,)."""
        return np.asarray(self.table.numpy()[:, 10])


def draw(
    how: Augmentation, numbers: Sequence[int], *, seed: int, scaled: tuple[int, int], size: tuple[int, int]
) -> Draws:
    """Draw the augmentation of the samples `numbers`; `scaled` and `size` are (height, width) before and after."""
    count = len(numbers)
    room = np.subtract(scaled, size) + 1
    spans = np.array([how.brightness, how.contrast, how.saturation])
    # Each sample takes the same draws, used or not, so that no option changes the draws of another.
    uniform = np.stack([np.random.default_rng((seed, number)).random(13) for number in numbers])
    blank = np.zeros((count, 4), np.int64)
    for row in np.flatnonzero(uniform[:, 3] < how.erase):
        blank[row] = _rectangle(how, uniform[row, 4:8], size)
    corner = (uniform[:, :2] * room).astype(np.int64)
    colour = 1 + spans * (2 * uniform[:, 8:11] - 1)
    shrink = np.where(uniform[:, 11] < how.shrink, _SMALLEST ** uniform[:, 12], 1)
    table = np.column_stack([corner, uniform[:, 2] < how.flip, blank, colour, shrink]).astype(np.float32)
    return Draws(torch.from_numpy(table))


def _rectangle(how: Augmentation, uniform: NDArray[np.float64], size: tuple[int, int]) -> tuple[int, ...]:
    low, high = how.erase_area
    area = (low + (high - low) * uniform[0]) * size[0] * size[1]
    aspect = math.exp(math.log(how.erase_aspect) * (2 * uniform[1] - 1))
    height = min(size[0], max(1, round(math.sqrt(area * aspect))))
    width = min(size[1], max(1, round(math.sqrt(area / aspect))))
    top, left = int(uniform[2] * (size[0] - height + 1)), int(uniform[3] * (size[1] - width + 1))
    return top, top + height, left, left + width


def augment(crops: Tensor, draws: Draws, size: tuple[int, int]) -> Tensor:
    """Crop, mirror, recolour, shrink and blank a batch at once, on the device where it is.

    Args:
        crops: uint8 (n, H, W, 3) RGB.
        draws: for these n.
        size: height and width to crop to, px.

    Returns:
        uint8 (n, 3, height, width); blanked pixels have ImageNet's mean colour.

    """
    device = crops.device
    rows, columns = torch.arange(size[0], device=device), torch.arange(size[1], device=device)
    table = draws.table.to(device, non_blocking=True)
    corner, flip, blank = table[:, :2].long(), table[:, 2] > 0, table[:, 3:7].long()[:, :, None]
    across = torch.where(flip[:, None], columns.flip(0), columns)
    batch = torch.arange(len(crops), device=device)[:, None, None]
    cut = crops[batch, (corner[:, :1] + rows)[:, :, None], (corner[:, 1:] + across)[:, None, :]]
    images = cut.permute(0, 3, 1, 2)
    if (draws.colour != 1).any():
        images = _recolour(images, table[:, 7:10])
    for row in np.flatnonzero(draws.shrink != 1):
        images[row] = _shrunk(images[row], float(draws.shrink[row]))
    if draws.blank.any():
        inside_rows = (rows >= blank[:, 0]) & (rows < blank[:, 1])
        inside_columns = (columns >= blank[:, 2]) & (columns < blank[:, 3])
        inside = inside_rows[:, :, None] & inside_columns[:, None, :]
        for channel, mean in enumerate(IMAGENET_MEAN):
            images[:, channel].masked_fill_(inside, round(255 * mean))
    return images


def _shrunk(image: Tensor, factor: float) -> Tensor:
    """The image (3, H, W) as if it came from one `factor` times as large."""
    size = image.shape[1:]
    small = F.interpolate(image[None].float(), [max(1, round(side * factor)) for side in size], mode="area")
    return F.interpolate(small, size, mode="bilinear")[0].round().to(torch.uint8)


def _recolour(images: Tensor, factors: Tensor) -> Tensor:
    """Brightness scales, contrast spreads about the image's mean grey, saturation about each pixel's grey."""
    brightness, contrast, saturation = factors[:, :, None, None, None].unbind(1)
    pixels = images.float() * brightness
    middle = _grey(pixels).mean((2, 3), keepdim=True)
    pixels = middle + (pixels - middle) * contrast
    grey = _grey(pixels)
    return (grey + (pixels - grey) * saturation).round().clamp(0, 255).to(torch.uint8)


def _grey(pixels: Tensor) -> Tensor:
    """The luminance (n, 1, H, W) of `pixels` (n, 3, H, W) RGB."""
    return 0.299 * pixels[:, :1] + 0.587 * pixels[:, 1:2] + 0.114 * pixels[:, 2:]
