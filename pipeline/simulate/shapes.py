"""Solid things as hulls of balls, and how they are drawn.

Everything that stands on the ground, people included, is a list of `Part`s: convex hulls of a few balls. A hull
of balls projects to a hull of circles, which is quick to fill and right from every angle.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.simulate.camera import Camera, Points

_CIRCLE = np.stack([np.cos(np.linspace(0, 2 * np.pi, 12, endpoint=False)),
                    np.sin(np.linspace(0, 2 * np.pi, 12, endpoint=False))], axis=1)  # fmt: skip
_SHIFT = 4  # fixed-point bits of OpenCV's polygon coordinates


@dataclass(frozen=True, eq=False)
class Part:
    """The convex hull of a few balls in one colour.

    Attributes:
        points: float64 (k, 3), centres in metres.
        radii: float64 (k,), metres.
        colour: RGB, 0..255.
        lit: how much brighter its side to the light is; 0 for things without a rounding.

    """

    points: Points
    radii: Points
    colour: tuple[float, float, float]
    lit: float = 0.18


@dataclass(frozen=True, eq=False)
class Light:
    """Sun and sky.

    Attributes:
        sun: float64 (2,), how far a shadow of something 1 m high reaches, in metres east and north.
        shadow: share of light that a shadow takes away.
        softness: blur of shadows, in pixels.

    """

    sun: Points
    shadow: float
    softness: float


@dataclass(frozen=True, eq=False)
class Sprite:
    """A drawn thing, cut out.

    Attributes:
        left: column of its first pixel in the image; may be negative.
        top: row of its first pixel in the image; may be negative.
        colour: float32 (h, w, 3), RGB.
        alpha: float32 (h, w), coverage 0..1.
        box: xyxy in pixels, tight around the silhouette.

    """

    left: int
    top: int
    colour: NDArray[np.float32]
    alpha: NDArray[np.float32]
    box: tuple[float, float, float, float]


def _hulls(parts: Sequence[Part], camera: Camera, shift_to: Points | None = None) -> list[tuple[Points, float]]:
    """Outline (n, 2) in pixels and depth of each part; with `shift_to`, of its shadow on the ground."""
    points = np.concatenate([part.points for part in parts])
    radii = np.concatenate([part.radii for part in parts])
    if shift_to is not None:
        ground = points[:, :2] + np.maximum(points[:, 2:], 0) * shift_to
        points = np.concatenate([ground, np.zeros((len(points), 1))], axis=1)
    pixels, depths = camera.project(points)
    circles = pixels[:, None] + (radii / depths * camera.focal)[:, None, None] * _CIRCLE
    result, start = [], 0
    for part in parts:
        stop = start + len(part.points)
        outline = cv2.convexHull(circles[start:stop].reshape(-1, 1, 2).astype(np.float32))[:, 0]
        result.append((outline.astype(np.float64), float(depths[start:stop].mean())))
        start = stop
    return result


def _fill(canvas: NDArray[np.uint8], outline: Points, colour: Iterable[float]) -> None:
    fixed = np.rint(outline * (1 << _SHIFT)).astype(np.int32)
    cv2.fillConvexPoly(canvas, fixed, [float(value) for value in colour], cv2.LINE_8, _SHIFT)


def draw_sprite(
    parts: Sequence[Part], camera: Camera, light: Light, rng: np.random.Generator, roughness: float
) -> Sprite | None:
    """Draw `parts`, far ones first, oversampled; None if nothing of it is near the image.

    Args:
        parts: what to draw.
        camera: from where.
        light: where the sun stands.
        rng: for the grain of surfaces.
        roughness: strength of that grain, as a share of brightness.

    """
    hulls = _hulls(parts, camera)
    corners = np.concatenate([outline for outline, _ in hulls])
    low, high = corners.min(axis=0), corners.max(axis=0)
    if high[0] < 0 or high[1] < 0 or low[0] > camera.width or low[1] > camera.height:
        return None
    if (high - low).max() > 3 * camera.width:
        return None  # so near that it would fill the picture
    left, top = (int(value) - 2 for value in np.floor(low))
    width, height = int(np.ceil(high[0])) - left + 2, int(np.ceil(high[1])) - top + 2
    scale = 4 if height < 60 else 2 if height < 400 else 1
    canvas = np.zeros((height * scale, width * scale, 3), np.uint8)
    mask = np.zeros(canvas.shape[:2], np.uint8)
    toward_light = camera.rotation[:2, :2] @ -light.sun
    toward_light = toward_light / max(float(np.linalg.norm(toward_light)), 1e-6)
    for number in np.argsort([-depth for _, depth in hulls], kind="stable"):
        part = parts[number]
        outline = (hulls[number][0] - (left, top) + 0.5) * scale - 0.5
        base = np.array(part.colour)
        _fill(mask, outline, (255,))
        _fill(canvas, outline, (base * (1 - part.lit)).clip(0, 255))
        if part.lit:
            centre = outline.mean(axis=0)
            size = np.ptp(outline, axis=0).min()
            _fill(canvas, (outline - centre) * 0.72 + centre + toward_light * size * 0.1, base.clip(0, 255))
            bright = (base * (1 + part.lit)).clip(0, 255)
            _fill(canvas, (outline - centre) * 0.4 + centre + toward_light * size * 0.2, bright)
    alpha = cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    covered = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
    colour = covered / np.maximum(alpha, 1 / 255)[..., None]
    if roughness:
        colour *= 1 + roughness * _grain(rng, width, height)[..., None]
    box = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
    return Sprite(left, top, colour.clip(0, 255), alpha, box)


def _grain(rng: np.random.Generator, width: int, height: int) -> NDArray[np.float32]:
    """Weave and folds: fine and coarse noise, float32 (height, width), deviation about 1."""
    fine, coarse = (
        cv2.resize(
            rng.standard_normal((max(2, height // step), max(2, width // step)), np.float32), (width, height)
        )
        for step in (2, 7)
    )
    return np.asarray(0.6 * fine + coarse)


def shadow_mask(parts: Sequence[Part], camera: Camera, light: Light, mask: NDArray[np.uint8]) -> None:
    """Add the shadow of `parts` to `mask`, uint8 (H, W), 255 where the sun is hidden."""
    for outline, _ in _hulls(parts, camera, light.sun):
        if np.abs(outline).max() < 20_000:  # beyond, OpenCV's fixed-point coordinates overflow
            _fill(mask, outline, (255,))


def paste(image: NDArray[np.uint8], owner: NDArray[np.int32], sprite: Sprite, number: int) -> float:
    """Lay `sprite` over `image` (uint8 (H, W, 3)) and mark its pixels in `owner` (int32 (H, W)) by `number`.

    Returns:
        The number of pixels of the whole sprite, those outside the image included.

    """
    height, width = sprite.alpha.shape
    x1, y1 = max(sprite.left, 0), max(sprite.top, 0)
    x2, y2 = min(sprite.left + width, image.shape[1]), min(sprite.top + height, image.shape[0])
    if x1 < x2 and y1 < y2:
        cut = np.s_[y1 - sprite.top : y2 - sprite.top, x1 - sprite.left : x2 - sprite.left]
        alpha = sprite.alpha[cut][..., None]
        under = image[y1:y2, x1:x2]
        image[y1:y2, x1:x2] = (under + alpha * (sprite.colour[cut] - under)).astype(np.uint8)
        owner[y1:y2, x1:x2][sprite.alpha[cut] >= 0.5] = number
    return float((sprite.alpha >= 0.5).sum())
