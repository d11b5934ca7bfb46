"""What air, lens, sensor and codec do to a picture."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Look:
    """One flight's light and camera.

    Attributes:
        table: uint8 (256, 3), what each channel's value becomes (exposure, white balance, contrast).
        haze: share of milky air.
        blur: of the lens, pixels.
        motion: length of the motion blur, pixels.
        motion_angle: its direction, radians.
        grain: deviation of the sensor's noise, grey levels.
        sharpen: strength of the camera's sharpening.
        grey: whether the camera is black and white.

    """

    table: NDArray[np.uint8]
    haze: float
    blur: float
    motion: float
    motion_angle: float
    grain: float
    sharpen: float
    grey: bool


def draw_look(rng: np.random.Generator) -> Look:
    """A random one: mostly day, sometimes dusk; mostly sharp."""
    dusk = rng.random() < 0.12
    gain = rng.uniform(0.3, 0.6) if dusk else rng.uniform(0.75, 1.25)
    balance = rng.normal(1, 0.12 if dusk else 0.05, 3)
    levels = np.arange(256)[:, None] / 255
    toned = (levels ** rng.uniform(0.8, 1.25) * gain * balance).clip(0, 1)
    contrast = rng.uniform(0.85, 1.2)
    table = (((toned - 0.5) * contrast + 0.5) * 255).clip(0, 255).astype(np.uint8)
    return Look(
        table=table,
        haze=float(rng.choice([0, 0, rng.uniform(0, 0.3)])),
        blur=float(rng.choice([0, rng.uniform(0.3, 0.7), rng.uniform(0.5, 1.3)])),
        motion=float(rng.choice([0, 0, 0, rng.uniform(1.5, 6)])),
        motion_angle=float(rng.uniform(0, np.pi)),
        grain=float(rng.choice([rng.uniform(0, 2), rng.uniform(1, 5), rng.uniform(4, 9) if dusk else 2])),
        sharpen=float(rng.choice([0, rng.uniform(0.2, 1.0)])),
        grey=bool(rng.random() < 0.07),
    )


def apply_look(image: Image, look: Look, rng: np.random.Generator) -> Image:
    """`image` (uint8 (H, W, 3) RGB) as the camera records it."""
    if look.haze:
        image = cv2.addWeighted(image, 1 - look.haze, np.full_like(image, 205), look.haze, 0)
    if look.blur:
        image = cv2.GaussianBlur(image, (0, 0), look.blur)
    if look.motion:
        image = cv2.filter2D(image, -1, _streak(look.motion, look.motion_angle))
    if look.sharpen:
        image = cv2.addWeighted(image, 1 + look.sharpen, cv2.GaussianBlur(image, (0, 0), 1.2), -look.sharpen, 0)
    image = cv2.LUT(image, look.table[None])
    if look.grey:
        image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    if look.grain:
        image = _grain(image, look.grain, rng)
    return np.asarray(image)


def _streak(length: float, angle: float) -> NDArray[np.float32]:
    size = int(np.ceil(length)) | 1
    kernel = np.zeros((size, size), np.float32)
    reach = np.array([np.cos(angle), np.sin(angle)]) * length / 2
    middle = size // 2
    start, stop = (tuple(int(v) for v in np.rint(middle + sign * reach).clip(0, size - 1)) for sign in (-1, 1))
    cv2.line(kernel, start, stop, 1)
    return kernel / kernel.sum()


def _grain(image: Image, deviation: float, rng: np.random.Generator) -> Image:
    """Add noise from a tile that is laid anew at each call: drawing it afresh would take most of the time."""
    height, width = image.shape[:2]
    tile = np.random.default_rng(5).normal(0, 1, (256, 256)).astype(np.float32)
    shifted = np.roll(tile * deviation, rng.integers(0, 256, 2), (0, 1))
    noise = np.tile(shifted, (height // 256 + 1, width // 256 + 1))[:height, :width]
    positive = noise.clip(0, 255).astype(np.uint8)
    negative = (-noise).clip(0, 255).astype(np.uint8)
    return np.asarray(cv2.subtract(cv2.add(image, cv2.merge([positive] * 3)), cv2.merge([negative] * 3)))
