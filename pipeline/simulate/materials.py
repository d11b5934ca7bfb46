"""Materials of the ground: one seamless-looking texture of each kind."""

import cv2
import numpy as np

from pipeline.simulate.textures import Texture, field, paint, ramp, vary

KINDS = ("grass", "dirt", "pavement", "asphalt", "gravel", "plaza", "water")

# From one end of the noise to the other.
_RAMPS = {
    "grass": (
        ((58, 82, 34), (92, 118, 48), (128, 136, 58), (150, 132, 74), (150, 122, 84)),
        ((70, 88, 44), (84, 100, 52), (100, 112, 60), (112, 118, 72)),
        ((94, 96, 52), (132, 122, 66), (158, 140, 86), (170, 152, 108)),
        ((44, 66, 34), (58, 84, 40), (76, 104, 48), (88, 112, 54)),
        ((96, 138, 36), (118, 152, 44), (150, 158, 60), (168, 140, 70)),
    ),
    "dirt": (
        ((112, 92, 72), (146, 122, 96), (166, 144, 116), (182, 162, 134)),
        ((120, 104, 92), (136, 120, 106), (150, 132, 118)),
        ((104, 78, 58), (126, 94, 70), (150, 116, 88)),
    ),
    "gravel": (
        ((112, 106, 100), (138, 130, 122), (158, 150, 142)),
        ((92, 92, 92), (124, 122, 120), (150, 148, 144)),
    ),
    "pavement": (
        ((132, 130, 126), (152, 150, 146), (168, 166, 160)),
        ((150, 142, 132), (168, 160, 148), (182, 174, 164)),
        ((116, 114, 114), (130, 128, 126), (142, 140, 136)),
        ((142, 104, 92), (158, 118, 104), (170, 132, 118)),
    ),
    "plaza": (
        ((186, 184, 180), (206, 204, 200), (222, 220, 216)),
        ((120, 118, 122), (140, 138, 140), (160, 158, 158)),
        ((150, 134, 120), (172, 156, 142), (188, 176, 162)),
    ),
    "asphalt": (
        ((74, 76, 80), (90, 92, 96), (108, 108, 110)),
        ((104, 104, 104), (122, 122, 120), (138, 136, 132)),
        ((58, 60, 66), (70, 72, 78), (88, 88, 92)),
        ((120, 116, 110), (138, 132, 124), (152, 146, 138)),
    ),
    "water": (((36, 48, 44), (58, 74, 68), (90, 104, 100)), ((70, 88, 100), (108, 124, 134), (150, 160, 166))),
}  # fmt: skip
_ROUGH = {"grass": 0.4, "dirt": 0.3, "gravel": 0.3, "water": 0.25}  # share of the mid-size mottle


def material(rng: np.random.Generator, kind: str, size: int, scale: float, axis: float) -> Texture:
    """A surface of `kind`, one of KINDS: uint8 (size, size, 3) RGB at `scale` pixels a metre.

    Joints and bands run along `axis`, radians from east towards north.
    """
    ramps = _RAMPS[kind]
    metres = size / scale
    cells = float(np.clip(metres / rng.uniform(4, 16), 1.5, 40))
    colours = [vary(rng, colour, 5, 0.12) for colour in ramps[rng.integers(len(ramps))]]
    coarse = field(rng, size, cells)
    if kind == "grass":  # the colour of grass changes at two scales: meadow and tuft
        coarse = cv2.addWeighted(coarse, 0.75, field(rng, size, min(cells * 7, 120), rough=True), 0.25, 0)
    texture = ramp(coarse, colours)
    share = _ROUGH.get(kind, 0.14) * rng.uniform(0.5, 1.3)
    mottle = field(rng, size, min(3.5 * metres, 150), rough=True)
    texture = paint(texture, cv2.convertScaleAbs(mottle, alpha=0.5 * share, beta=128 - 64 * share))
    if kind in ("pavement", "plaza"):
        _tiles(rng, texture, scale, axis)
    if kind == "asphalt":
        _wear(rng, texture, scale)
    return texture


def _tiles(rng: np.random.Generator, texture: Texture, scale: float, axis: float) -> None:
    """Slabs of slightly different shades with joints, bands of darker ones among them."""
    size = texture.shape[0]
    slab = [max(3, round(scale * float(side))) for side in np.exp(rng.uniform(np.log(0.25), np.log(2.0), 2))]
    over = int(size * 1.5)
    rows, columns = over // slab[1] + 2, over // slab[0] + 2
    shade = 1 + rng.uniform(0.005, 0.06) * rng.standard_normal((rows, columns)).astype(np.float32)
    if rng.random() < 0.4:
        shade[:: rng.integers(3, 9)] *= rng.uniform(0.7, 1.12)
    if rng.random() < 0.3:
        shade[:, :: rng.integers(3, 9)] *= rng.uniform(0.7, 1.12)
    values = (128 * shade).clip(0, 255).astype(np.uint8)
    shape = (columns * slab[0], rows * slab[1])
    large = cv2.resize(values, shape, interpolation=cv2.INTER_NEAREST)[:over, :over]
    joint = rng.uniform(0.72, 0.97)
    large[:: slab[1]] = (large[:: slab[1]] * joint).astype(np.uint8)
    large[:, :: slab[0]] = (large[:, :: slab[0]] * joint).astype(np.uint8)
    turn = cv2.getRotationMatrix2D((over / 2, over / 2), float(np.degrees(axis)), 1.0)
    turn[:, 2] -= (over - size) / 2
    turned = cv2.warpAffine(large, turn, (size, size), flags=cv2.INTER_LINEAR, borderValue=(128,))
    texture[:] = paint(texture, turned)


def _wear(rng: np.random.Generator, texture: Texture, scale: float) -> None:
    """Cracks and tyre marks."""
    size = texture.shape[0]
    for _ in range(int(rng.integers(0, 9))):
        steps = rng.normal(0, 1, (40, 2)).cumsum(axis=0) * 0.2 + np.linspace(0, 1, 40)[:, None] * rng.normal(
            0, 9, 2
        )
        line = np.rint(rng.uniform(0, size, 2) + steps * scale).astype(np.int32)
        colour = tuple(float(value) for value in texture[0, 0] * rng.uniform(0.55, 0.85))
        cv2.polylines(texture, [line], False, colour, max(1, round(0.03 * scale)), cv2.LINE_AA)
