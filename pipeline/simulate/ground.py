"""The ground from straight above: grass, pavement, asphalt, paths, markings, stains."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.simulate.camera import Camera, Points

Texture = NDArray[np.uint8]

_GRASS = ((96, 112, 60), (128, 124, 72), (70, 92, 48), (148, 136, 92), (112, 104, 66))
_DIRT = ((150, 124, 96), (172, 150, 118), (120, 100, 82))
_STONE = ((150, 148, 144), (182, 178, 170), (128, 124, 122), (196, 196, 196), (160, 140, 126))
_ASPHALT = ((84, 86, 90), (104, 104, 106), (66, 68, 74), (124, 124, 122))


@dataclass(frozen=True, eq=False)
class Ground:
    """A square of ground around the origin; beyond it the picture mirrors itself.

    Attributes:
        texture: uint8 (n, n, 3) RGB, row 0 in the north, column 0 in the west.
        side: metres.

    """

    texture: Texture
    side: float

    def seen_by(self, camera: Camera, homography: Points | None = None) -> NDArray[np.uint8]:
        """What `camera` sees of it: uint8 (H, W, 3) RGB."""
        size = self.texture.shape[0]
        scale = self.side / size
        to_metres = np.array(
            [[scale, 0, (0.5 - size / 2) * scale], [0, -scale, (size / 2 - 0.5) * scale], [0, 0, 1]]
        )
        matrix = (camera.ground_homography() if homography is None else homography) @ to_metres
        seen = cv2.warpPerspective(
            self.texture,
            matrix,
            (camera.width, camera.height),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT_101,
        )
        return np.asarray(seen)


def fractal_noise(rng: np.random.Generator, size: int, coarsest: int, falloff: float) -> NDArray[np.float32]:
    """Noise of several octaves, float32 (size, size), mean about 0 and deviation 1.

    Args:
        rng: source.
        size: pixels a side.
        coarsest: cells a side of the largest octave.
        falloff: weight of each octave against the one before; near 1 is rough, near 0.5 cloudy.

    """
    total = np.zeros((size, size), np.float32)
    cells, weight = coarsest, 1.0
    while cells <= size:
        octave = rng.standard_normal((cells, cells), np.float32)
        total += weight * cv2.resize(octave, (size, size), interpolation=cv2.INTER_CUBIC)
        cells, weight = cells * 2, weight * falloff
    return (total - total.mean()) / max(float(total.std()), 1e-6)


def make_ground(rng: np.random.Generator, *, size: int, side: float) -> Ground:
    """A ground of `side` metres in `size` pixels, of a kind, with paths and marks as the dice say."""
    scale = size / side
    kind = rng.choice(["grass", "grass", "pavement", "asphalt", "plaza", "dirt"])
    texture = _surface(rng, str(kind), size, scale)
    if kind == "asphalt":
        _markings(rng, texture, scale)
    for _ in range(rng.integers(0, 4)):
        _path(rng, texture, scale)
    if rng.random() < 0.5:
        _patches(rng, texture, scale)
    _stains(rng, texture, scale)
    return Ground(texture, side)


def _surface(rng: np.random.Generator, kind: str, size: int, scale: float) -> Texture:
    palette = {"grass": _GRASS, "dirt": _DIRT, "asphalt": _ASPHALT}.get(kind, _STONE)
    first, second = (np.array(palette[rng.integers(len(palette))], np.float32) for _ in range(2))
    soft = fractal_noise(rng, size, int(rng.integers(3, 14)), 0.65)
    mix = (1 / (1 + np.exp(-1.5 * soft)))[..., None]
    colour = first + (second - first) * mix
    rough = {"grass": 0.11, "dirt": 0.08}.get(kind, 0.045) * rng.uniform(0.6, 1.3)
    fine = rng.standard_normal((size, size), np.float32)
    colour *= 1 + rough * fine[..., None] + 0.05 * fractal_noise(rng, size, 64, 0.8)[..., None]
    texture: Texture = colour.clip(0, 255).astype(np.uint8)
    if kind in ("pavement", "plaza"):
        _tiles(rng, texture, scale)
    return texture


def _tiles(rng: np.random.Generator, texture: Texture, scale: float) -> None:
    """Joints between slabs, every so many slabs a slab of another shade."""
    size = texture.shape[0]
    wide, high = (max(4, round(scale * side)) for side in rng.uniform(0.5, 2.5, 2))
    rows, columns = size // high + 2, size // wide + 2
    shade = 1 + rng.uniform(0.01, 0.08) * rng.standard_normal((rows, columns)).astype(np.float32)
    if rng.random() < 0.4:
        shade[:: rng.integers(2, 6)] *= rng.uniform(0.7, 1.15)
    if rng.random() < 0.3:
        shade[:, :: rng.integers(2, 6)] *= rng.uniform(0.7, 1.15)
    large = np.repeat(np.repeat(shade, high, 0), wide, 1)[:size, :size]
    texture[:] = (texture * large[..., None]).clip(0, 255).astype(np.uint8)
    joint = tuple(float(value) for value in texture.mean(axis=(0, 1)) * rng.uniform(0.6, 0.9))
    for place in range(0, size, wide):
        cv2.line(texture, (place, 0), (place, size), joint, 1)
    for place in range(0, size, high):
        cv2.line(texture, (0, place), (size, place), joint, 1)


def _line(texture: Texture, start: Points, stop: Points, colour: tuple[float, ...], width: float) -> None:
    ends = [tuple(int(value) for value in np.rint(end)) for end in (start, stop)]
    cv2.line(texture, ends[0], ends[1], colour, max(1, round(width)), cv2.LINE_AA)


def _markings(rng: np.random.Generator, texture: Texture, scale: float) -> None:
    """Lanes and a zebra crossing."""
    size = texture.shape[0]
    angle = rng.uniform(0, np.pi)
    along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    centre = rng.uniform(0.3, 0.7, 2) * size
    paint = (float(rng.uniform(180, 235)),) * 3
    for lane in range(-3, 4):
        offset = centre + across * lane * 3.4 * scale
        dash, gap = (3, 5) if lane % 3 else (400, 0)
        for step in np.arange(-80, 80, dash + gap):
            start = offset + along * step * scale
            _line(texture, start, start + along * dash * scale, paint, 0.14 * scale)
    for bar in range(int(rng.integers(6, 20))):
        start = centre + across * (bar - 8) * 0.95 * scale
        _line(texture, start, start + along * 4 * scale, paint, 0.45 * scale)


def _path(rng: np.random.Generator, texture: Texture, scale: float) -> None:
    """A winding strip of another surface with a kerb."""
    size = texture.shape[0]
    points = np.cumsum(rng.normal(0, 0.12, (9, 2)), axis=0) * size
    points += np.linspace(0, 1, 9)[:, None] * rng.normal(0, 1.2, 2) * size + rng.uniform(0.1, 0.9, 2) * size
    line = np.rint(points).astype(np.int32)[:, None]
    width = rng.uniform(1.2, 6) * scale
    palette = _STONE + _DIRT + _ASPHALT
    colour = np.array(palette[rng.integers(len(palette))], np.float32) * rng.uniform(0.85, 1.1)
    mask = np.zeros(texture.shape[:2], np.uint8)
    cv2.polylines(mask, [line], False, 255, max(2, round(width)), cv2.LINE_AA)
    if rng.random() < 0.5:
        kerb = tuple(float(value) for value in colour * rng.uniform(0.7, 1.25))
        cv2.polylines(texture, [line], False, kerb, max(3, round(width + 0.4 * scale)), cv2.LINE_AA)
    weight = (mask.astype(np.float32) / 255)[..., None]
    grain = 1 + 0.05 * rng.standard_normal(texture.shape[:2], np.float32)[..., None]
    texture[:] = (texture * (1 - weight) + (colour * grain).clip(0, 255) * weight).astype(np.uint8)


def _patches(rng: np.random.Generator, texture: Texture, scale: float) -> None:
    """Flower beds, repaired asphalt, manholes, carpets: flat things with edges."""
    size = texture.shape[0]
    for _ in range(rng.integers(3, 30)):
        centre, sides = rng.uniform(0, size, 2), rng.uniform(0.2, 4, 2) * scale
        colour = tuple(float(value) for value in rng.uniform(40, 220) + rng.normal(0, 25, 3))
        if rng.random() < 0.4:
            where = tuple(int(value) for value in centre)
            cv2.ellipse(texture, where, tuple(int(s) + 1 for s in sides / 2), 0, 0, 360, colour, -1, cv2.LINE_AA)
        else:
            box = cv2.boxPoints((tuple(centre), tuple(sides), float(rng.uniform(0, 90))))
            cv2.fillPoly(texture, [np.rint(box).astype(np.int32)], colour, cv2.LINE_AA)


def _stains(rng: np.random.Generator, texture: Texture, scale: float) -> None:
    """Leaves, litter, wet spots."""
    size = texture.shape[0]
    wet = fractal_noise(rng, size // 4, int(rng.integers(4, 30)), 0.6) > rng.uniform(1.2, 2.5)
    dark = cv2.resize(wet.astype(np.float32), (size, size)) * rng.uniform(0.1, 0.35)
    texture[:] = (texture * (1 - dark[..., None])).astype(np.uint8)
    for x, y in rng.integers(0, size, (int(rng.integers(0, 400)), 2)):
        under = texture[y, x].astype(float)
        colour = tuple(
            float(value) for value in under + 0.45 * (rng.uniform(0, 255) - under) + rng.normal(0, 12, 3)
        )
        cv2.circle(texture, (int(x), int(y)), max(1, int(rng.uniform(0.02, 0.1) * scale)), colour, -1)
