"""Solid things as hulls of balls, painted plates and leafy discs, and their outlines in a picture.

Everything that stands on the ground, people included, is a list of `Part`s. A convex hull of balls projects to a
hull of circles, which is quick to fill and right from every angle; a plate carries a texture; a disc always faces
the camera.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.simulate.camera import Camera, Points
from pipeline.simulate.textures import Colour, Texture

_CIRCLE = np.stack([np.cos(np.linspace(0, 2 * np.pi, 12, endpoint=False)),
                    np.sin(np.linspace(0, 2 * np.pi, 12, endpoint=False))], axis=1)  # fmt: skip
_SHIFT = 4  # fixed-point bits of OpenCV's polygon coordinates


@dataclass(frozen=True, eq=False)
class Part:
    """The convex hull of a few balls in one colour, or a plate, or a disc of leaves.

    Attributes:
        points: float64 (k, 3), centres in metres.
        radii: float64 (k,), metres.
        colour: RGB, 0..255.
        lit: how much brighter its side to the light is; 0 for things without a rounding.
        plate: the four points are the corners of a flat plate, clockwise from the upper left as one sees its
            front; its back is not drawn.
        texture: of a plate, uint8 (h, w, 3); of a single ball, uint8 (h, w, 4) with coverage, turned to the camera.

    """

    points: Points
    radii: Points
    colour: Colour
    lit: float = 0.12
    plate: bool = False
    texture: Texture | None = None

    def moved(self, turn: Points, by: Points) -> "Part":
        """The same, turned by `turn` (3, 3; applied to row vectors) and then moved by `by` (3,)."""
        return replace(self, points=self.points @ turn + by)


@dataclass(frozen=True, eq=False)
class Light:
    """Sun and sky.

    Attributes:
        sun: float64 (2,), how far a shadow of something 1 m high reaches, in metres east and north.
        shadow: share of light that a shadow takes away.
        softness: blur of shadows, in pixels.
        contact: share of light that is missing close under a thing, sun or not.

    """

    sun: Points
    shadow: float
    softness: float
    contact: float = 0.0


@dataclass(frozen=True, eq=False)
class Bounds:
    """Spheres around things, to pass over those out of sight.

    Attributes:
        centres: float64 (n, 3), metres.
        radii: float64 (n,), metres.

    """

    centres: Points
    radii: Points

    @classmethod
    def of(cls, things: Sequence[Sequence[Part]]) -> "Bounds":
        """Around each of `things`."""
        centres, radii = np.zeros((len(things), 3)), np.zeros(len(things))
        for number, parts in enumerate(things):
            points = np.concatenate([part.points for part in parts])
            centres[number] = (points.min(axis=0) + points.max(axis=0)) / 2
            distances = np.linalg.norm(points - centres[number], axis=1)
            radii[number] = (distances + np.concatenate([part.radii for part in parts])).max()
        return cls(centres, radii)

    def in_sight(self, camera: Camera, more: float = 0.0) -> NDArray[np.bool_]:
        """Which of them, made larger by `more` metres, may show: bool (n,)."""
        if not len(self.radii):
            return np.zeros(0, bool)
        seen = (self.centres - camera.position) @ camera.rotation.T
        reach = self.radii + more
        # Beside a picture's edge by more than the radius, measured square to the plane through eye and edge.
        outside = seen[:, 2] < -reach
        for axis, half in ((0, camera.width / 2), (1, camera.height / 2)):
            slant = np.hypot(camera.focal, half)
            outside |= (np.abs(seen[:, axis]) * camera.focal - half * seen[:, 2]) / slant > reach
        return np.asarray(~outside)


def turn_of(angle: float) -> Points:
    """Matrix (3, 3) that turns row vectors by `angle` radians from east towards north."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])


def outlines(parts: Sequence[Part], camera: Camera) -> list[tuple[NDArray[np.float32], float]]:
    """Outline (n, 2) in pixels and depth of each part."""
    points = np.concatenate([part.points for part in parts])
    pixels, circles, depths = _circles(points, parts, camera)
    starts = np.cumsum([0, *(len(part.points) for part in parts)])
    means = (np.add.reduceat(depths, starts[:-1]) / np.diff(starts)).tolist()
    result = []
    for part, start, mean in zip(parts, starts.tolist(), means, strict=False):
        stop = start + len(part.points)
        if part.plate:
            outline = pixels[start:stop]
        elif stop == start + 1:
            outline = circles[start]
        else:
            outline = cv2.convexHull(circles[start:stop].reshape(-1, 1, 2))[:, 0]
        result.append((outline, mean))
    return result


def _circles(
    points: Points, parts: Sequence[Part], camera: Camera
) -> tuple[NDArray[np.float32], NDArray[np.float32], Points]:
    """Of each ball its middle (n, 2) and rim (n, 12, 2) in pixels, and its depth (n,)."""
    radii = np.concatenate([part.radii for part in parts])
    pixels, depths = camera.project(points)
    rims = pixels[:, None] + (radii / depths * camera.focal)[:, None, None] * _CIRCLE
    return pixels.astype(np.float32), rims.astype(np.float32), depths


def fill(canvas: Texture, outline: NDArray[np.float32], colour: Sequence[float]) -> None:
    """Fill the convex `outline` (n, 2) on `canvas`; coordinates between pixels count."""
    fixed = np.rint(outline * (1 << _SHIFT)).astype(np.int32)
    cv2.fillConvexPoly(canvas, fixed, colour, cv2.LINE_8, _SHIFT)


def shadow_mask(
    parts: Sequence[Part], camera: Camera, sun: Points, mask: Texture, scale: float, value: float
) -> None:
    """Draw the shadow of `parts` into `mask`, uint8, a picture `scale` times the camera's, as `value`."""
    points = np.concatenate([part.points for part in parts])
    points[:, :2] += np.maximum(points[:, 2:], 0) * sun
    points[:, 2] = 0
    _, rims, _ = _circles(points, parts, camera)
    rims = (rims + np.float32(0.5)) * np.float32(scale) - np.float32(0.5)
    low, high = rims.reshape(-1, 2).min(axis=0), rims.reshape(-1, 2).max(axis=0)
    limit = 20_000  # beyond, OpenCV's fixed-point coordinates overflow
    if (high < 0).any() or low[0] > mask.shape[1] or low[1] > mask.shape[0] or max(-low.min(), high.max()) > limit:
        return
    fixed = np.rint(rims * (1 << _SHIFT)).astype(np.int32)
    start = 0
    for part in parts:
        stop = start + len(part.points)
        outline = cv2.convexHull(fixed[start:stop].reshape(-1, 1, 2)) if stop > start + 1 else fixed[start]
        cv2.fillConvexPoly(mask, outline, value, cv2.LINE_8, _SHIFT)
        start = stop
