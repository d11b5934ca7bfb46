"""The ground from straight above: grass, pavement, asphalt, streets, paths, markings, stains."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.simulate.camera import Camera, Points
from pipeline.simulate.markings import Street, draw_street
from pipeline.simulate.materials import KINDS, material
from pipeline.simulate.textures import TILE, Texture, field, grain_tile, grey, lay, loud, paint, step, vary


@dataclass(frozen=True, eq=False)
class Ground:
    """A square of ground around the origin; beyond it the picture mirrors itself.

    Attributes:
        texture: uint8 (n, n, 3) RGB, row 0 in the north, column 0 in the west.
        side: metres.
        axis: direction that streets, joints and rows of things follow, radians from east towards north.
        streets: on it.
        grain: seamless uint8 (m, m) of fine detail, 128 neutral; None: the texture is all there is.
        grain_side: metres a side of it.

    """

    texture: Texture
    side: float
    axis: float = 0.0
    streets: tuple[Street, ...] = ()
    grain: Texture | None = None
    grain_side: float = 8.0

    def seen_by(self, camera: Camera) -> NDArray[np.uint8]:
        """What `camera` sees of it: uint8 (H, W, 3) RGB; what is above the horizon is not painted over."""
        homography, shape = camera.ground_homography(), (camera.width, camera.height)
        seen = cv2.warpPerspective(
            self.texture,
            homography @ _to_metres(self.side, self.texture.shape[0]),
            shape,
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT_101,
        )
        if self.grain is not None:
            fine = cv2.warpPerspective(
                self.grain,
                homography @ _to_metres(self.grain_side, self.grain.shape[0]),
                shape,
                flags=cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_WRAP,
            )
            cv2.multiply(seen, cv2.merge([fine] * 3), seen, scale=1 / 128)
        return np.asarray(seen)


def _to_metres(side: float, size: int) -> Points:
    scale = side / size
    return np.array([[scale, 0, (0.5 - size / 2) * scale], [0, -scale, (size / 2 - 0.5) * scale], [0, 0, 1]])


def make_ground(rng: np.random.Generator, *, size: int, side: float, fine: float) -> Ground:
    """A ground of `side` metres in `size` pixels, with streets, paths and marks as the dice say.

    Args:
        rng: source.
        size: pixels a side.
        side: metres a side.
        fine: metres that one pixel of a picture shows where it shows most; sets the size of the finest grain.

    """
    scale, axis = size / side, float(rng.uniform(0, np.pi))
    texture = material(rng, str(rng.choice(KINDS, p=_BASES)), size, scale, axis)
    for _ in range(int(rng.integers(0, 3))):
        _area(rng, texture, scale, axis)
    for _ in range(int(rng.choice([0, 0, 1, 2]))):
        _path(rng, texture, scale)
    streets = _streets(rng, side, axis)
    for street in streets:
        draw_street(rng, texture, scale, street)
    if rng.random() < 0.5:
        _patches(rng, texture, scale)
    _stains(rng, texture, scale)
    if rng.random() < 0.3:
        _hidden_shadows(rng, texture, scale)
    # Laid side by side beforehand: OpenCV takes thrice the time for what is beyond a picture's border.
    grain = np.tile(grain_tile(rng, float(rng.uniform(0.01, 0.1))), (size // TILE, size // TILE))
    return Ground(texture, side, axis, streets, grain, float(grain.shape[0] * fine * rng.uniform(1.0, 2.2)))


# How often each of KINDS is the ground itself, and how often a part of it: nobody walks on a lake.
_BASES = (0.28, 0.13, 0.13, 0.26, 0.06, 0.14, 0.0)
_SHARES = (0.26, 0.12, 0.12, 0.26, 0.06, 0.14, 0.04)


def _streets(rng: np.random.Generator, side: float, axis: float) -> tuple[Street, ...]:
    """None, one or two crossing streets; where the ground is small, often none."""
    streets: list[Street] = []
    if rng.random() < min(0.75, side / 60):
        across = np.array([-np.sin(axis), np.cos(axis)])
        width = float(rng.uniform(5, 18))
        pavement = float(rng.uniform(1.5, 5)) if rng.random() < 0.8 else 0.0
        streets.append(Street(across * rng.normal(0, 0.12 * side), axis, width, pavement))
        if rng.random() < 0.35:
            along = np.array([np.cos(axis), np.sin(axis)])
            other = Street(along * rng.normal(0, 0.2 * side), axis + np.pi / 2, float(rng.uniform(4, 12)), pavement)
            streets.insert(0, other)
    return tuple(streets)


def _area(rng: np.random.Generator, texture: Texture, scale: float, axis: float) -> None:
    """A part of the ground of another kind: a lawn, a square, a bed, a bare spot."""
    size = texture.shape[0]
    kind = str(rng.choice(KINDS, p=_SHARES))
    if kind in ("grass", "dirt", "gravel") and rng.random() < 0.6:  # nature knows no straight edges
        values = field(rng, size, rng.uniform(2, 7))
        mask = step(values, rng.uniform(110, 190), rng.uniform(3, 60))
    else:
        mask = np.zeros((size, size), np.uint8)
        centre, sides = rng.uniform(0.1, 0.9, 2) * size, np.minimum(rng.uniform(3, 40, 2) * scale, size)
        if rng.random() < 0.25:
            where = (int(centre[0]), int(centre[1]))
            cv2.circle(mask, where, int(sides[0] / 2), 255, -1, cv2.LINE_AA)
        else:
            box = cv2.boxPoints((tuple(centre), tuple(sides), -float(np.degrees(axis))))
            cv2.fillPoly(mask, [np.rint(box).astype(np.int32)], 255, cv2.LINE_AA)
        if rng.random() < 0.6:
            _edge(rng, texture, mask, scale)
    lay(texture, material(rng, kind, size, scale, axis), mask)


def _edge(rng: np.random.Generator, texture: Texture, mask: Texture, scale: float) -> None:
    """Kerb stones, or a low hedge's dark line, around `mask`."""
    wide = max(1, round(rng.uniform(0.1, 0.35) * scale))
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    cv2.drawContours(texture, contours, -1, grey(rng, 40, 215), 2 * wide, cv2.LINE_AA)


def _path(rng: np.random.Generator, texture: Texture, scale: float) -> None:
    """A winding strip of another surface with a kerb."""
    size = texture.shape[0]
    turn = np.cumsum(rng.normal(0, 0.22, 40)) + rng.uniform(0, 2 * np.pi)
    points = np.cumsum(np.stack([np.cos(turn), np.sin(turn)], axis=1) * size / 18, axis=0)
    points += rng.uniform(0.2, 0.8, 2) * size - points[20]
    line = [np.rint(points * 16).astype(np.int32)[:, None]]
    width = min(rng.uniform(1.0, 5) * scale, 0.5 * size)
    mask = np.zeros(texture.shape[:2], np.uint8)
    cv2.polylines(mask, line, False, 255, max(2, round(width)), cv2.LINE_AA, 4)
    if rng.random() < 0.5:
        kerb = grey(rng, 90, 210)
        cv2.polylines(texture, line, False, kerb, max(3, round(width + 0.4 * scale)), cv2.LINE_AA, 4)
    kind = str(rng.choice(["dirt", "gravel", "pavement", "asphalt"]))
    lay(texture, material(rng, kind, size, scale, 0.0), mask)


def _patches(rng: np.random.Generator, texture: Texture, scale: float) -> None:
    """Repaired asphalt, manholes, mats, puddles: flat things with edges, mostly dull, sometimes loud."""
    size = texture.shape[0]
    for _ in range(int(rng.integers(3, 30))):
        centre, sides = rng.uniform(0, size, 2), np.exp(rng.uniform(np.log(0.2), np.log(3), 2)) * scale
        under = texture[int(centre[1]), int(centre[0])].astype(float)
        colour = vary(rng, under * rng.uniform(0.5, 1.4), 8)
        if rng.random() < 0.15:
            colour = loud(rng)
        if rng.random() < 0.4:
            where = (int(centre[0]), int(centre[1]))
            axes = (int(sides[0] / 2) + 1, int(sides[1 if rng.random() < 0.5 else 0] / 2) + 1)
            cv2.ellipse(texture, where, axes, float(rng.uniform(0, 180)), 0, 360, colour, -1, cv2.LINE_AA)
        else:
            box = cv2.boxPoints((tuple(centre), tuple(sides), float(rng.uniform(0, 90))))
            cv2.fillPoly(texture, [np.rint(box).astype(np.int32)], colour, cv2.LINE_AA)


def _stains(rng: np.random.Generator, texture: Texture, scale: float) -> None:
    """Wet or worn spots, leaves and litter, alone and in drifts."""
    size = texture.shape[0]
    if rng.random() < 0.7:
        spots = step(field(rng, size, rng.uniform(4, 25)), rng.uniform(190, 230), rng.uniform(4, 40))
        dark = 128 - cv2.convertScaleAbs(spots, alpha=rng.uniform(0.1, 0.3) * 0.5)
        texture[:] = paint(texture, dark)
    drift = rng.uniform(0, size, 2)
    for number in range(int(rng.choice([0, 60, 400]))):
        place = rng.normal(drift, 0.15 * size) if number % 2 else rng.uniform(0, size, 2)
        x, y = (int(value) for value in place.clip(0, size - 1))
        under = texture[y, x].astype(float)
        colour = vary(rng, under + 0.45 * (rng.uniform(0, 255) - under), 12, 0)
        cv2.circle(texture, (x, y), max(1, int(rng.uniform(0.02, 0.09) * scale)), colour, -1)


def _hidden_shadows(rng: np.random.Generator, texture: Texture, scale: float) -> None:
    """Shadows of trees and houses that are themselves out of the picture."""
    size = texture.shape[0]
    shade = step(field(rng, size, rng.uniform(2, 9), rough=True), rng.uniform(140, 200), rng.uniform(8, 40))
    if rng.random() < 0.4:
        box = cv2.boxPoints((tuple(rng.uniform(0, size, 2)), (0.6 * size, 0.4 * size), float(rng.uniform(0, 90))))
        cv2.fillPoly(shade, [np.rint(box).astype(np.int32)], 255, cv2.LINE_AA)
    shade = cv2.GaussianBlur(shade, (0, 0), max(0.6, 0.08 * scale))
    texture[:] = paint(texture, 128 - cv2.convertScaleAbs(shade, alpha=rng.uniform(0.15, 0.3)))
