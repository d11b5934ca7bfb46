"""Streets with what is painted on them."""

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.simulate.camera import Points
from pipeline.simulate.materials import material
from pipeline.simulate.textures import Texture, grey, lay, vary


@dataclass(frozen=True, eq=False)
class Street:
    """A straight street through the whole ground.

    Attributes:
        point: float64 (2,), somewhere on its middle line, metres.
        angle: direction, radians from east towards north.
        width: of the roadway, metres.
        pavement: width of the pavement on either side, metres; 0: none.

    """

    point: Points
    angle: float
    width: float
    pavement: float

    def at(self, along: float, across: float) -> Points:
        """The ground point `along` and `across` the street from its `point`, float64 (2,), metres."""
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        return np.asarray(self.point + np.array([along * cos - across * sin, along * sin + across * cos]))


class _Brush:
    """Fills rectangles given in a street's own metres."""

    def __init__(self, canvas: Texture, scale: float, street: Street) -> None:
        self._canvas, self._scale, self._street = canvas, scale, street

    def bar(self, along: tuple[float, float], across: tuple[float, float], colour: tuple[float, ...]) -> None:
        corners = [(along[0], across[0]), (along[1], across[0]), (along[1], across[1]), (along[0], across[1])]
        points = np.array([self._street.at(*corner) for corner in corners])
        half = self._canvas.shape[0] / 2 - 0.5
        pixels = np.stack([points[:, 0] * self._scale + half, half - points[:, 1] * self._scale], axis=1)
        cv2.fillConvexPoly(self._canvas, np.rint(pixels * 16).astype(np.int32), colour, cv2.LINE_AA, 4)


def draw_street(rng: np.random.Generator, texture: Texture, scale: float, street: Street) -> None:
    """Paint `street` on `texture`, uint8 (n, n, 3), in place."""
    size = texture.shape[0]
    reach = 0.75 * size / scale
    half, edge = street.width / 2, street.width / 2 + street.pavement
    if street.pavement:
        mask = np.zeros((size, size), np.uint8)
        _Brush(mask, scale, street).bar((-reach, reach), (-edge, edge), (255.0,))
        lay(texture, material(rng, "pavement", size, scale, street.angle), mask)
    kerb = _Brush(texture, scale, street)
    kerb.bar((-reach, reach), (-half - 0.15, half + 0.15), grey(rng, 110, 200, 4))
    mask = np.zeros((size, size), np.uint8)
    _Brush(mask, scale, street).bar((-reach, reach), (-half, half), (255.0,))
    road = material(rng, "asphalt", size, scale, street.angle)
    _paint_lanes(rng, _Brush(road, scale, street), street, reach)
    lay(texture, road, mask)


def _paint_lanes(rng: np.random.Generator, brush: _Brush, street: Street, reach: float) -> None:
    white, yellow = grey(rng, 165, 240, 4), vary(rng, (190, 150, 60))
    lanes = max(1, int(street.width / 3.3))
    wide = street.width / lanes
    thick = rng.uniform(0.1, 0.18)
    dash, gap = rng.uniform(1.5, 4), rng.uniform(2, 6)
    if rng.random() < 0.75:
        for lane in range(1, lanes):
            across = -street.width / 2 + lane * wide
            middle = lanes % 2 == 0 and lane == lanes // 2
            if middle and rng.random() < 0.6:
                colour = yellow if rng.random() < 0.5 else white
                for shift in (-0.15, 0.15):
                    brush.bar((-reach, reach), (across + shift, across + shift + thick), colour)
                continue
            for start in np.arange(-min(reach, 90), min(reach, 90), dash + gap):
                brush.bar((start, start + dash), (across, across + thick), white)
    if rng.random() < 0.5:
        for side in (-1, 1):
            across = side * (street.width / 2 - 0.35)
            brush.bar((-reach, reach), (across, across + thick), white)
    for _ in range(int(rng.choice([0, 1, 2]))):
        _zebra(rng, brush, street, float(rng.uniform(-0.5, 0.5) * min(reach, 60)), white)
    if rng.random() < 0.12:
        start = float(rng.uniform(-10, 10))
        for line in np.arange(start, start + 12, 1.5):
            brush.bar((line, line + 0.2), (-street.width / 2, street.width / 2), yellow)
    if rng.random() < 0.3:
        for _ in range(int(rng.integers(1, 4))):
            _arrow(
                brush,
                float(rng.uniform(-25, 25)),
                (0.5 + rng.integers(lanes)) * wide - street.width / 2,
                white,
            )


def _zebra(
    rng: np.random.Generator, brush: _Brush, street: Street, along: float, colour: tuple[float, float, float]
) -> None:
    bar, long = rng.uniform(0.35, 0.6), rng.uniform(2.5, 5)
    for across in np.arange(-street.width / 2 + 0.3, street.width / 2 - bar, 2 * bar):
        brush.bar((along, along + long), (across, across + bar), vary(rng, colour, 2, 0.08))
    if rng.random() < 0.6:
        brush.bar((along + long + 1, along + long + 1.4), (-street.width / 2, 0), colour)


def _arrow(brush: _Brush, along: float, across: float, colour: tuple[float, float, float]) -> None:
    brush.bar((along, along + 2.4), (across - 0.1, across + 0.1), colour)
    for step in range(6):
        half = 0.5 * (1 - step / 6)
        brush.bar((along + 2.4 + step * 0.2, along + 2.6 + step * 0.2), (across - half, across + half), colour)
