"""Effects of air, lens, sensor and codec on a picture."""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
_NOISE_SIDE, _NOISE_UNIT = 512, 50.0


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
        saturation: strength of colours; 1 leaves them.
        vignette: share of light missing in the corners.
        lamps: float64 (n, 4), lamps at night: x and y as shares of the picture, reach as a share of its width,
            strength 0..1; without any, light is even.
        lamp_colour: RGB gain of their light.

    """

    table: NDArray[np.uint8]
    haze: float
    blur: float
    motion: float
    motion_angle: float
    grain: float
    sharpen: float
    grey: bool
    saturation: float = 1.0
    vignette: float = 0.0
    lamps: NDArray[np.float64] | None = None
    lamp_colour: tuple[float, float, float] = (1.0, 1.0, 1.0)


def draw_look(rng: np.random.Generator) -> Look:
    """A random one: mostly day, sometimes dusk or lamplight; mostly sharp."""
    time = str(rng.choice(["day", "dusk", "night"], p=[0.88, 0.06, 0.06]))
    gain = {"day": rng.uniform(0.62, 1.2), "dusk": rng.uniform(0.38, 0.65), "night": rng.uniform(0.7, 1.1)}[time]
    balance = rng.normal(1, 0.04 if time == "day" else 0.12, 3)
    levels = np.arange(256)[:, None] / 255
    toned = (levels ** rng.uniform(0.8, 1.25) * gain * balance).clip(0, 1)
    lifted = rng.uniform(0, 0.08)
    toned = lifted + (1 - lifted) * ((toned - 0.5) * rng.uniform(0.85, 1.25) + 0.5)
    dark = time != "day"
    return Look(
        table=(toned * 255).clip(0, 255).astype(np.uint8),
        haze=float(rng.choice([0, 0, rng.uniform(0, 0.3)])),
        blur=float(rng.choice([0, rng.uniform(0.3, 0.7), rng.uniform(0.5, 1.3)])),
        motion=float(rng.choice([0, 0, 0, rng.uniform(1.5, 6)])),
        motion_angle=float(rng.uniform(0, np.pi)),
        grain=float(rng.choice([rng.uniform(0, 2), rng.uniform(1, 5), rng.uniform(4, 9) if dark else 2])),
        sharpen=float(rng.choice([0, rng.uniform(0.2, 1.2)])),
        grey=bool(rng.random() < 0.06),
        saturation=float(rng.uniform(0.5, 1.3)),
        vignette=float(rng.choice([0, rng.uniform(0, 0.35)])),
        lamps=_lamps(rng) if time == "night" else None,
        lamp_colour=((1.15, 0.95, 0.6), (1.0, 1.0, 1.0), (0.85, 0.9, 1.25))[rng.integers(3)],
    )


def _lamps(rng: np.random.Generator) -> NDArray[np.float64]:
    count = int(rng.integers(1, 6))
    columns = [rng.uniform(-0.1, 1.1, count), rng.uniform(-0.2, 1.1, count), rng.uniform(0.15, 0.6, count)]
    return np.stack([*columns, rng.uniform(0.4, 1.1, count)], axis=1)


def apply_look(image: Image, look: Look, rng: np.random.Generator) -> Image:
    """`image` (uint8 (H, W, 3) RGB) as the camera records it; `image` itself is used up."""
    # In place wherever OpenCV can: fresh pages for every step would take as long as the steps.
    if look.saturation != 1:
        cv2.transform(image, _desaturate(look.saturation), image)
    if look.haze:
        cv2.addWeighted(image, 1 - look.haze, image, 0, 205 * look.haze, image)
    if look.lamps is not None or look.vignette:
        cv2.multiply(image, _illumination(look, image.shape[1], image.shape[0]), image, scale=1 / 160)
    if look.blur:
        cv2.GaussianBlur(image, (0, 0), look.blur, image)
    if look.motion:
        image = cv2.filter2D(image, -1, _streak(look.motion, look.motion_angle))
    if look.sharpen:
        soft = cv2.GaussianBlur(image, (0, 0), 1.2)
        cv2.addWeighted(image, 1 + look.sharpen, soft, -look.sharpen, 0, image)
    cv2.LUT(image, look.table[None], image)
    if look.grey:
        image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    if look.grain:
        _grain(image, look.grain, rng)
    return np.asarray(image)


def _desaturate(strength: float) -> NDArray[np.float64]:
    grey = np.array([0.299, 0.587, 0.114])
    return strength * np.eye(3) + (1 - strength) * np.tile(grey, (3, 1))


def _illumination(look: Look, width: int, height: int) -> Image:
    """Light at each pixel, uint8 (height, width, 3), 160 is neutral; computed small, for it is smooth."""
    columns, rows = 64, max(2, round(64 * height / width))
    x, y = np.meshgrid(np.linspace(0, 1, columns), np.linspace(0, 1, rows))
    light = np.ones((rows, columns, 3))
    if look.lamps is not None:
        light *= 0.22
        for left, top, reach, strength in look.lamps:
            square = ((x - left) ** 2 + ((y - top) * height / width) ** 2) / reach**2
            light += (strength / (1 + 6 * square))[..., None] * np.array(look.lamp_colour)
    radius = (2 * x - 1) ** 2 + (2 * y - 1) ** 2
    light *= (1 - look.vignette * radius / 2)[..., None]
    small = (160 * light).clip(0, 255).astype(np.uint8)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR))


def _streak(length: float, angle: float) -> NDArray[np.float32]:
    size = int(np.ceil(length)) | 1
    kernel = np.zeros((size, size), np.float32)
    reach = np.array([np.cos(angle), np.sin(angle)]) * length / 2
    middle = size // 2
    start, stop = (tuple(int(v) for v in np.rint(middle + sign * reach).clip(0, size - 1)) for sign in (-1, 1))
    cv2.line(kernel, start, stop, 1)
    return kernel / kernel.sum()


@lru_cache(maxsize=4)
def _noise(width: int, height: int) -> tuple[Image, Image]:
    """Noise a tile wider and higher than the picture, its positive and its negative half; deviation _NOISE_UNIT."""
    tile = np.random.default_rng(5).normal(0, _NOISE_UNIT, (_NOISE_SIDE, _NOISE_SIDE))
    repeat = (height // _NOISE_SIDE + 2, width // _NOISE_SIDE + 2)
    more, less = (np.tile(half.clip(0, 255).astype(np.uint8), repeat) for half in (tile, -tile))
    return more, less


@lru_cache(maxsize=2)
def _scaled_noise(width: int, height: int, deviation: float) -> tuple[Image, Image]:
    """`_noise` of another deviation, in three channels."""
    more, less = (
        cv2.merge([cv2.convertScaleAbs(half, alpha=deviation / _NOISE_UNIT)] * 3) for half in _noise(width, height)
    )
    return more, less


def _grain(image: Image, deviation: float, rng: np.random.Generator) -> None:
    """Add noise from a tile with a new offset at each call: drawing new noise would take most of the time."""
    height, width = image.shape[:2]
    x, y = (int(value) for value in rng.integers(0, _NOISE_SIDE, 2))
    more, less = (half[y : y + height, x : x + width] for half in _scaled_noise(width, height, deviation))
    cv2.add(image, more, image)
    cv2.subtract(image, less, image)
