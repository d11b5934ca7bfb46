"""Drawing things: each is painted apart, oversampled, and then laid into the picture where nothing is nearer."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.simulate.camera import Camera, Points
from pipeline.simulate.shapes import Light, Part, fill, outlines
from pipeline.simulate.textures import Texture

Depths = NDArray[np.float32]
_NEAREST = 0.8  # metres; nearer things would be bent by the projection
_ROUND = 6.0  # pixels of the oversampled canvas; on anything thinner no shading shows
_SMALL = 16.0  # pixels; a plate no larger is as far away as its middle


@dataclass(frozen=True, eq=False)
class Sprite:
    """A drawn thing, cut out.

    Attributes:
        left: column of its first pixel in the image; may be negative.
        top: row of its first pixel in the image; may be negative.
        colour: uint8 (h, w, 3), RGB.
        alpha: uint8 (h, w), coverage 0..255.
        depth: float32 (h, w) or (h, 1), metres along the line of sight.
        box: xyxy in pixels, tight around the silhouette.

    """

    left: int
    top: int
    colour: Texture
    alpha: Texture
    depth: Depths
    box: tuple[float, float, float, float]


def draw_person(
    parts: Sequence[Part], camera: Camera, light: Light, rng: np.random.Generator, roughness: float
) -> Sprite | None:
    """Draw a person; None if nothing of it is near the image.

    Args:
        parts: the body.
        camera: from where.
        light: where the sun stands.
        rng: for weave and folds.
        roughness: strength of those, as a share of brightness.

    """
    hulls = outlines(parts, camera)
    frame = _frame(hulls, camera, whole=True)
    if frame is None:
        return None
    left, top, _, height, box = frame
    centre = np.concatenate([part.points for part in parts]).mean(axis=0)
    colour, alpha = _paint(parts, hulls, camera, light, frame)
    if roughness:
        colour = _roughen(colour, rng, roughness)
    rows = np.arange(top, top + height, dtype=np.float64)
    return Sprite(left, top, colour, alpha, _upright_depth(camera, centre, rows), box)


def draw_thing(parts: Sequence[Part], camera: Camera, light: Light) -> Sprite | None:
    """Draw a thing, cut to the image; None if nothing of it is near the image, or it is too near the camera."""
    hulls = outlines(parts, camera)
    if min(depth for _, depth in hulls) < _NEAREST:
        return None
    frame = _frame(hulls, camera, whole=False)
    if frame is None:
        return None
    left, top, width, height, box = frame
    colour, alpha = _paint(parts, hulls, camera, light, frame)
    depth = np.full((height, width), np.float32(np.inf))
    for number in _far_first(hulls):
        part, (outline, distance) = parts[number], hulls[number]
        if part.plate and not _faces(outline):
            continue
        mask = np.zeros((height, width), np.uint8)
        fill(mask, outline - (left, top), (255,))
        small = np.ptp(outline, axis=0).max() < _SMALL or not part.plate
        surface = np.float32(distance) if small else _plane_depth(camera, part.points, frame)
        np.copyto(depth, surface, where=mask > 0)
    return Sprite(left, top, colour, alpha, depth, box)


_Hulls = list[tuple[NDArray[np.float32], float]]
_Frame = tuple[int, int, int, int, tuple[float, float, float, float]]


def _frame(hulls: _Hulls, camera: Camera, *, whole: bool) -> _Frame | None:
    """Left, top, width and height of the patch to paint, and the silhouette's box."""
    corners = np.concatenate([outline for outline, _ in hulls])
    low, high = corners.min(axis=0), corners.max(axis=0)
    if high[0] < 0 or high[1] < 0 or low[0] > camera.width or low[1] > camera.height:
        return None
    if whole and (high - low).max() > 3 * camera.width:
        return None  # so near that it would fill the picture
    box = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
    if not whole:
        low, high = np.maximum(low, -1), np.minimum(high, (camera.width, camera.height))
    left, top = (int(value) - 2 for value in np.floor(low))
    return left, top, int(np.ceil(high[0])) - left + 2, int(np.ceil(high[1])) - top + 2, box


def _far_first(hulls: _Hulls) -> list[int]:
    return [int(n) for n in np.argsort([-depth for _, depth in hulls], kind="stable")]


def _faces(outline: NDArray[np.float32]) -> bool:
    """Whether a plate shows its front: its corners go clockwise in the picture."""
    x, y = outline.astype(np.float64).T
    return float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) > 0


def _paint(
    parts: Sequence[Part], hulls: _Hulls, camera: Camera, light: Light, frame: _Frame
) -> tuple[Texture, Texture]:
    left, top, width, height, _ = frame
    scale = 4 if height < 60 else 2 if height < 300 else 1
    canvas = np.zeros((height * scale, width * scale, 3), np.uint8)
    mask = np.zeros(canvas.shape[:2], np.uint8)
    toward = camera.rotation[:2, :2] @ -light.sun
    toward = toward / max(float(np.linalg.norm(toward)), 1e-6)
    for number in _far_first(hulls):
        part = parts[number]
        outline = (hulls[number][0] - (left, top) + 0.5) * scale - 0.5
        if part.plate:
            if _faces(outline):
                _plate(canvas, mask, part, outline)
        elif part.texture is not None:
            _disc(canvas, mask, part.texture, outline)
        else:
            _ball(canvas, part, outline, toward)
            fill(mask, outline, (255,))
    if scale == 1:
        return canvas, mask
    alpha = cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA)
    covered = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)
    wide = cv2.merge([cv2.max(alpha, np.ones_like(alpha))] * 3)
    return np.asarray(cv2.divide(covered, wide, scale=255)), np.asarray(alpha)


def _ball(canvas: Texture, part: Part, outline: NDArray[np.float32], toward: Points) -> None:
    side = float(np.ptp(outline, axis=0).min())
    if not part.lit or side < _ROUND:
        fill(canvas, outline, part.colour)
        return
    centre = outline.mean(axis=0)
    for shrink, shift, gain in ((1, 0, 1 - part.lit), (0.72, 0.1, 1), (0.4, 0.2, 1 + 0.8 * part.lit)):
        around = (outline - centre) * np.float32(shrink) + centre + toward * side * shift
        fill(canvas, around, [min(255.0, value * gain) for value in part.colour])


def _plate(canvas: Texture, mask: Texture, part: Part, outline: NDArray[np.float32]) -> None:
    if part.texture is None:
        fill(canvas, outline, part.colour)
        fill(mask, outline, (255,))
        return
    high, wide = part.texture.shape[:2]
    x1, y1 = np.floor(outline.min(axis=0)).astype(int).clip(0, None)
    x2, y2 = np.minimum(np.ceil(outline.max(axis=0)).astype(int) + 1, (canvas.shape[1], canvas.shape[0]))
    if x1 >= x2 or y1 >= y2:
        return
    local = outline - (x1, y1)
    source = np.array([[0, 0], [wide, 0], [wide, high], [0, high]], np.float32) - np.float32(0.5)
    texture = _shrunk(part.texture, outline)
    source *= np.array([texture.shape[1] / wide, texture.shape[0] / high], np.float32)
    matrix = cv2.getPerspectiveTransform(source, local.astype(np.float32))
    shape = (int(x2 - x1), int(y2 - y1))
    seen = cv2.warpPerspective(texture, matrix, shape, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    inside = np.zeros(shape[::-1], np.uint8)
    fill(inside, local, (255,))
    cv2.copyTo(seen, inside, canvas[y1:y2, x1:x2])
    cv2.copyTo(inside, inside, mask[y1:y2, x1:x2])


def _shrunk(texture: Texture, outline: NDArray[np.float32]) -> Texture:
    """`texture`, made smaller where it is shown much smaller, so that it does not flicker."""
    sides = np.linalg.norm(np.roll(outline, -1, axis=0) - outline, axis=1)
    shown = max(sides[0], sides[2]), max(sides[1], sides[3])
    wide = int(np.clip(2.0 ** np.ceil(np.log2(max(shown[0], 1))), 2, texture.shape[1]))
    high = int(np.clip(2.0 ** np.ceil(np.log2(max(shown[1], 1))), 2, texture.shape[0]))
    if wide * 2 > texture.shape[1] and high * 2 > texture.shape[0]:
        return texture
    return np.asarray(cv2.resize(texture, (wide, high), interpolation=cv2.INTER_AREA))


def _disc(canvas: Texture, mask: Texture, texture: Texture, outline: NDArray[np.float32]) -> None:
    """Blend a leafy disc over what is there."""
    low, high = outline.min(axis=0), outline.max(axis=0)
    x1, y1 = max(int(np.floor(low[0])), 0), max(int(np.floor(low[1])), 0)
    x2, y2 = min(int(np.ceil(high[0])) + 1, canvas.shape[1]), min(int(np.ceil(high[1])) + 1, canvas.shape[0])
    if x1 >= x2 or y1 >= y2:
        return
    while texture.shape[0] > 24 and texture.shape[0] > 2.5 * (high[0] - low[0]):
        texture = cv2.resize(texture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    zoom = (high - low) / (texture.shape[1], texture.shape[0])
    matrix = np.array([[zoom[0], 0, low[0] - x1], [0, zoom[1], low[1] - y1]])
    shape = (x2 - x1, y2 - y1)
    seen = cv2.warpAffine(texture, matrix, shape, flags=cv2.INTER_LINEAR)
    # Leaves are there or not: half-covered pixels of the oversampled canvas become leaf or gap.
    solid = np.where(seen[..., 3] > 110, np.uint8(255), np.uint8(0))
    cv2.copyTo(np.ascontiguousarray(seen[..., :3]), solid, canvas[y1:y2, x1:x2])
    cv2.copyTo(solid, solid, mask[y1:y2, x1:x2])


def _roughen(colour: Texture, rng: np.random.Generator, share: float) -> Texture:
    """Weave and folds on clothes, and less light towards the feet."""
    height, width = colour.shape[:2]
    cell = max(2.0, height / 12)
    shape = (max(2, round(height / cell)), max(2, round(width / cell)))
    folds = cv2.resize(rng.standard_normal(shape, np.float32), (width, height))
    weave = rng.standard_normal((height, width), np.float32)
    sky = np.linspace(1.08, 0.88, height, dtype=np.float32)[:, None]  # light comes from above
    grain = (128 * sky * (1 + share * (folds + 0.4 * weave))).clip(0, 255).astype(np.uint8)
    return np.asarray(cv2.multiply(colour, cv2.merge([grain] * 3), scale=1 / 128))


def _plane_depth(camera: Camera, points: Points, frame: _Frame) -> Depths:
    """Depth of the plane through `points` (4, 3) at each pixel of the frame, float32 (h, w)."""
    left, top, width, height, _ = frame
    seen = (points - camera.position) @ camera.rotation.T
    (a, b, c), (d, e, f) = (seen[2] - seen[0]).tolist(), (seen[3] - seen[1]).tolist()
    normal = np.array([b * f - c * e, c * d - a * f, a * e - b * d])
    offset = float(normal @ seen.mean(axis=0))
    x = (np.arange(left, left + width) - (camera.width - 1) / 2) / camera.focal
    y = (np.arange(top, top + height) - (camera.height - 1) / 2) / camera.focal
    slope = normal[0] * x[None] + normal[1] * y[:, None] + normal[2]
    slope = np.where(np.abs(slope) < 1e-9, 1e-9, slope)
    depth = offset / slope
    low, high = float(seen[:, 2].min()), float(seen[:, 2].max())
    return np.asarray(depth.clip(low, high).astype(np.float32))


def _upright_depth(camera: Camera, centre: Points, rows: Points) -> Depths:
    """Depth of an upright board at `centre` that faces the camera, float32 (len(rows), 1).

    A person seen from the side hides what is behind the body; the board says so at head and feet alike.
    """
    seen = camera.rotation @ (centre - camera.position)
    if np.sin(camera.pitch) > 0.93:  # from above a board would be seen on edge
        return np.full((len(rows), 1), np.float32(seen[2]))
    # The board's normal is level: forward without its vertical share. In camera axes (roll is small) it is
    normal = np.array([0.0, -np.sin(camera.pitch), np.cos(camera.pitch)])
    y = (rows - (camera.height - 1) / 2) / camera.focal
    depth = float(normal @ (0.0, seen[1], seen[2])) / np.maximum(normal[1] * y + normal[2], 1e-3)
    return np.asarray(depth.clip(seen[2] - 1.2, seen[2] + 1.2).astype(np.float32))[:, None]


def paste(image: Texture, owner: NDArray[np.uint16], nearest: Depths, sprite: Sprite, number: int) -> float:
    """Lay `sprite` over `image` where nothing nearer is; mark its pixels in `owner` and `nearest`.

    Args:
        image: uint8 (H, W, 3).
        owner: uint16 (H, W), whose pixel it is.
        nearest: float32 (H, W), depth of what is drawn so far, metres.
        sprite: what to lay.
        number: its mark.

    Returns:
        The number of pixels of the whole sprite, those outside the image included.

    """
    height, width = sprite.alpha.shape
    x1, y1 = max(sprite.left, 0), max(sprite.top, 0)
    x2, y2 = min(sprite.left + width, image.shape[1]), min(sprite.top + height, image.shape[0])
    if x1 < x2 and y1 < y2:
        rows, columns = slice(y1 - sprite.top, y2 - sprite.top), slice(x1 - sprite.left, x2 - sprite.left)
        depth = sprite.depth[rows] if sprite.depth.shape[1] == 1 else sprite.depth[rows, columns]
        front = depth < nearest[y1:y2, x1:x2]
        alpha = sprite.alpha[rows, columns] * front
        wide = cv2.merge([alpha] * 3)
        under = image[y1:y2, x1:x2]
        over = cv2.multiply(np.ascontiguousarray(sprite.colour[rows, columns]), wide, scale=1 / 255)
        cv2.add(cv2.multiply(under, 255 - wide, scale=1 / 255), over, under)
        solid = alpha >= 128
        owner[y1:y2, x1:x2][solid] = number
        np.copyto(nearest[y1:y2, x1:x2], depth, where=solid)
    return float((sprite.alpha >= 128).sum())
