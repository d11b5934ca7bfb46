"""Noise and painted surfaces for grounds, walls, crowns and awnings, all synthesised."""

from collections.abc import Sequence
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

Texture = NDArray[np.uint8]
Colour = tuple[float, float, float]

TILE = 512  # pixels a side of the noise tiles
_COARSEST = 4  # cells a side of a tile's largest octave


@cache
def _tiles() -> tuple[Texture, ...]:
    """Seamless noise tiles, uint8 (TILE, TILE), mean 128, deviation 42: two cloudy ones, two rough ones."""
    rng = np.random.default_rng(11)
    return tuple(_tile(rng, falloff) for falloff in (0.55, 0.62, 0.8, 0.95))


def _tile(rng: np.random.Generator, falloff: float) -> Texture:
    total, cells, weight = np.zeros((TILE, TILE), np.float32), _COARSEST, 1.0
    while cells <= TILE:
        step = TILE // cells
        # Two cells more on each side, so that the interpolation continues across the seam.
        octave = np.pad(rng.standard_normal((cells, cells), np.float32), 2, "wrap")
        large = cv2.resize(octave, None, fx=step, fy=step, interpolation=cv2.INTER_CUBIC)
        total += weight * large[2 * step : 2 * step + TILE, 2 * step : 2 * step + TILE]
        cells, weight = cells * 2, weight * falloff
    total -= total.mean()
    return (128 + 42 * total / total.std()).clip(0, 255).astype(np.uint8)


def field(rng: np.random.Generator, size: int, cells: float, *, rough: bool = False) -> Texture:
    """Noise, uint8 (size, size), about `cells` blotches a side, mean 128 and deviation 42.

    It is cut from ready tiles at a random place and turn: drawing the noise afresh would take most of the time.
    """
    tile = _tiles()[int(rng.integers(2)) + 2 * rough]
    if cells > 48:
        return _repeated(rng, tile, size, cells)
    small = min(size, max(256, size // 6))  # blotches are large: computed small and enlarged
    zoom, angle = TILE * cells / _COARSEST / small, rng.uniform(0, 2 * np.pi)
    cos, sin = zoom * np.cos(angle), zoom * np.sin(angle)
    matrix = np.array([[cos, -sin, rng.uniform(0, TILE)], [sin, cos, rng.uniform(0, TILE)]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    values = cv2.warpAffine(tile, matrix, (small, small), flags=flags, borderMode=cv2.BORDER_WRAP)
    return np.asarray(cv2.resize(values, (size, size), interpolation=cv2.INTER_LINEAR))


def _repeated(rng: np.random.Generator, tile: Texture, size: int, cells: float) -> Texture:
    """Many small blotches: the tile at its own sharpness, side by side; the number hides the repetition."""
    side = int(np.clip(size * _COARSEST / cells, 96, TILE))
    turned = np.rot90(tile, int(rng.integers(4)))
    shrunk = cv2.resize(turned, (side, side), interpolation=cv2.INTER_AREA)
    count = size // side + 2
    x, y = (int(value) for value in rng.integers(0, side, 2))
    return np.ascontiguousarray(np.tile(shrunk, (count, count))[y : y + size, x : x + size])


def grain_tile(rng: np.random.Generator, share: float) -> Texture:
    """A seamless tile of fine grain, uint8 (TILE, TILE): 128 leaves the brightness, `share` is its deviation."""
    white = rng.standard_normal((TILE, TILE), np.float32)
    soft = np.roll(white, 1, 0) + np.roll(white, 1, 1) + white
    return (128 * (1 + share * (0.5 * white + 0.45 * soft))).clip(0, 255).astype(np.uint8)


def paint(texture: Texture, grain: Texture) -> Texture:
    """`texture` (h, w, 3) brightened and darkened by `grain` (h, w), in which 128 is neutral."""
    return np.asarray(cv2.multiply(texture, cv2.merge([grain] * 3), scale=1 / 128))


def ramp(values: Texture, colours: Sequence[Colour]) -> Texture:
    """Colours, uint8 (h, w, 3), for `values`, uint8 (h, w): blended from the first to the last of `colours`."""
    stops = np.linspace(40, 216, len(colours))
    table = np.stack([np.interp(np.arange(256), stops, channel) for channel in np.array(colours, float).T], 1)
    return np.asarray(cv2.LUT(cv2.merge([values] * 3), table.clip(0, 255).astype(np.uint8)[None]))


def step(values: Texture, threshold: float, softness: float) -> Texture:
    """Mask, uint8: 0 where `values` are well below `threshold`, 255 well above, a ramp of `softness` between."""
    levels = (np.arange(256) - threshold) / max(softness, 1e-3) + 0.5
    return np.asarray(cv2.LUT(values, (levels.clip(0, 1) * 255).astype(np.uint8)))


def lay(under: Texture, over: Texture, mask: Texture) -> None:
    """Lay `over` on `under` (both uint8 (h, w, 3)), in place, where `mask`, uint8 (h, w), says."""
    wide = cv2.merge([mask] * 3)
    kept = cv2.multiply(under, 255 - wide, scale=1 / 255)
    cv2.add(kept, cv2.multiply(over, wide, scale=1 / 255), under)


def vary(
    rng: np.random.Generator, colour: Sequence[float] | NDArray[np.float64], by: float = 10.0, gain: float = 0.1
) -> Colour:
    """A colour near `colour`."""
    values = (np.array(colour) * rng.uniform(1 - gain, 1 + gain) + rng.normal(0, by, 3)).clip(4, 250)
    return (float(values[0]), float(values[1]), float(values[2]))


def grey(rng: np.random.Generator, low: float = 40, high: float = 220, tint: float = 8) -> Colour:
    """A greyish colour of brightness `low` to `high`."""
    return vary(rng, [rng.uniform(low, high)] * 3, tint, 0)


def loud(rng: np.random.Generator) -> Colour:
    """A saturated colour."""
    hue = np.array([[[rng.uniform(0, 180), rng.uniform(110, 250), rng.uniform(80, 240)]]]).astype(np.uint8)
    red, green, blue = cv2.cvtColor(hue, cv2.COLOR_HSV2RGB)[0, 0]
    return (float(red), float(green), float(blue))


def facade(rng: np.random.Generator, wide: float, high: float) -> Texture:
    """A wall of `wide` by `high` metres with rows of windows and, at its foot, shops; row 0 is its top."""
    scale = 12.0 if wide * high < 300 else 7.0
    columns, rows = max(8, int(wide * scale)), max(8, int(high * scale))
    wall: Texture = np.empty((rows, columns, 3), np.uint8)
    wall[:] = np.array(grey(rng, 70, 225, 14) if rng.random() < 0.7 else vary(rng, (150, 82, 62)))
    floor, bay = 3.1 * scale, rng.uniform(1.6, 4.0) * scale
    glass = np.array(vary(rng, (62, 74, 84), 14, 0.4))
    frame = tuple(float(v) for v in wall[0, 0] * rng.uniform(0.6, 1.15))
    pane = (bay * rng.uniform(0.4, 0.85), floor * rng.uniform(0.35, 0.7))
    for y in np.arange(rows - floor, -floor, -floor):
        for x in np.arange(bay * 0.1, columns - pane[0], bay):
            corner = (int(x), int(y + floor * 0.2))
            end = (int(x + pane[0]), int(y + floor * 0.2 + pane[1]))
            lit = tuple(float(v) for v in (glass * rng.uniform(0.5, 1.5)).clip(0, 255))
            cv2.rectangle(wall, corner, end, lit, -1)
            cv2.rectangle(wall, corner, end, frame, 1)
        cv2.line(wall, (0, int(y)), (columns, int(y)), frame, 1)
    if rng.random() < 0.5:
        _shops(rng, wall, rows - floor, floor)
    noise = cv2.resize(field(rng, 64, 6), (columns, rows))
    return paint(wall, (128 + 0.25 * (noise.astype(np.float32) - 128)).astype(np.uint8))


def _shops(rng: np.random.Generator, wall: Texture, top: float, floor: float) -> None:
    x = 0.0
    while x < wall.shape[1]:
        wide = rng.uniform(1.0, 3.0) * floor
        sign = loud(rng) if rng.random() < 0.7 else grey(rng)
        cv2.rectangle(wall, (int(x), int(top)), (int(x + wide), int(top + 0.28 * floor)), sign, -1)
        letters(rng, wall, (x + 0.1 * wide, top + 0.05 * floor, 0.8 * wide, 0.17 * floor))
        door = grey(rng, 20, 120)
        cv2.rectangle(wall, (int(x + 3), int(top + 0.33 * floor)), (int(x + wide - 3), int(top + floor)), door, -1)
        x += wide


def letters(rng: np.random.Generator, texture: Texture, box: tuple[float, float, float, float]) -> None:
    """Scribble something like writing into `box` (left, top, width, height in pixels)."""
    left, top, width, height = box
    colour = grey(rng, 200, 250) if rng.random() < 0.6 else vary(rng, (240, 210, 60))
    for x in np.arange(left, left + width - height * 0.7, max(height * 0.95, 2)):
        points = np.stack([rng.uniform(x, x + height * 0.7, 5), rng.uniform(top, top + height, 5)], axis=1)
        cv2.polylines(texture, [np.rint(points).astype(np.int32)], False, colour, max(1, int(height / 9)))


def roof(rng: np.random.Generator, wide: float, deep: float) -> Texture:
    """A flat or ribbed roof of `wide` by `deep` metres, with vents and boxes on it."""
    scale = 6.0
    columns, rows = max(8, int(wide * scale)), max(8, int(deep * scale))
    bases = ((150, 148, 142), (96, 94, 92), (60, 92, 150), (152, 70, 58), (186, 186, 182), (70, 112, 92))
    base = vary(rng, bases[rng.integers(len(bases))])
    noise = cv2.resize(field(rng, 96, 5, rough=True), (columns, rows))
    texture = ramp(noise, [vary(rng, np.array(base) * 0.75), base, vary(rng, np.array(base) * 1.12)])
    if rng.random() < 0.5:
        texture[:, :: int(rng.integers(3, 7))] = (texture[:, ::1][:, :1] * 0.8).astype(np.uint8)
    for _ in range(int(rng.integers(0, 9))):
        x, y, size = rng.uniform(0, columns), rng.uniform(0, rows), rng.uniform(0.4, 2.2) * scale
        corner, end = (int(x), int(y)), (int(x + size), int(y + size * rng.uniform(0.5, 1.5)))
        cv2.rectangle(texture, (corner[0] + 2, corner[1] + 2), (end[0] + 2, end[1] + 2), (40, 40, 42), -1)
        cv2.rectangle(texture, corner, end, grey(rng, 90, 230), -1)
    return texture


def stripes(rng: np.random.Generator, count: int) -> Texture:
    """An awning: `count` stripes in two or three colours, or one."""
    colours = [loud(rng) if rng.random() < 0.6 else grey(rng, 60, 235) for _ in range(int(rng.integers(1, 4)))]
    texture: Texture = np.empty((16, 8 * count, 3), np.uint8)
    for number in range(count):
        texture[:, 8 * number : 8 * number + 8] = np.array(colours[number % len(colours)])
    return texture


def heap(rng: np.random.Generator) -> Texture:
    """Goods seen from above: many small round things of a few colours."""
    texture: Texture = np.full((48, 96, 3), 60, np.uint8)
    colours = [loud(rng) for _ in range(int(rng.integers(1, 6)))]
    for _ in range(170):
        colour = vary(rng, colours[rng.integers(len(colours))], 14, 0.25)
        where = (int(rng.integers(96)), int(rng.integers(48)))
        cv2.circle(texture, where, int(rng.integers(2, 6)), colour, -1, cv2.LINE_AA)
    return texture


@cache
def _puffs() -> tuple[NDArray[np.uint8], ...]:
    """Clumps of leaves, uint8 (96, 96, 2): brightness (128 is neutral) and coverage; light comes from above."""
    rng = np.random.default_rng(23)
    puffs = []
    for number in range(10):
        light, cover = np.full((192, 192), 70, np.uint8), np.zeros((192, 192), np.uint8)
        leaves = 260 if number % 2 else 480
        reach = np.sqrt(rng.random(leaves)) * rng.uniform(0.75, 1.0, leaves)
        turn = rng.uniform(0, 2 * np.pi, leaves)
        x, y = reach * np.cos(turn), reach * np.sin(turn)
        for place in np.argsort(-y):  # lower leaves first, lit ones upon them
            shade = 118 - 62 * y[place] + rng.normal(0, 20)
            where = (int(96 + 80 * x[place]), int(96 + 80 * y[place]))
            axes = (int(rng.integers(4, 12)), int(rng.integers(3, 8)))
            for canvas, value in ((light, float(np.clip(shade, 20, 250))), (cover, 255.0)):
                cv2.ellipse(canvas, where, axes, float(turn[place] * 90), 0, 360, value, -1, cv2.LINE_AA)
        both = np.stack([cv2.resize(c, (96, 96), interpolation=cv2.INTER_AREA) for c in (light, cover)], axis=2)
        puffs.append(both)
    return tuple(puffs)


def puff(rng: np.random.Generator, colour: NDArray[np.float64]) -> Texture:
    """A clump of leaves of `colour`, uint8 (96, 96, 4): RGB and coverage."""
    both = _puffs()[int(rng.integers(10))]
    if rng.random() < 0.5:
        both = both[:, ::-1]
    rgb = (both[..., :1].astype(np.float32) / 128 * np.array(colour, np.float32)).clip(0, 255)
    return np.concatenate([rgb.astype(np.uint8), both[..., 1:]], axis=2)
