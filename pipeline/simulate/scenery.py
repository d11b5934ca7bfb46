"""Things that hide people or look like them: trees, cars, walls, posts, bins, bushes, bicycles."""

from collections.abc import Callable

import numpy as np

from pipeline.simulate.camera import Points
from pipeline.simulate.shapes import Part

Colour = tuple[float, float, float]
Maker = Callable[[np.random.Generator], list[Part]]


def _colour(rng: np.random.Generator, low: float = 20, high: float = 235, spread: float = 30) -> Colour:
    value = (rng.uniform(low, high) + rng.normal(0, spread, 3)).clip(5, 250)
    return (float(value[0]), float(value[1]), float(value[2]))


def _green(rng: np.random.Generator) -> Points:
    return np.array([rng.uniform(40, 110), rng.uniform(70, 130), rng.uniform(25, 70)])


def _box(low: Points, high: Points, colour: Colour) -> list[Part]:
    """A box as its four walls, in shades, and its lid, which comes last: it is nearest to a drone."""
    (x1, y1, z1), (x2, y2, z2) = low, high
    corners = [(x1, y1), (x2, y1), (x2, y2), (x1, y2)]
    parts = []
    for number in range(4):
        a, b = corners[number], corners[(number + 1) % 4]
        wall = np.array([(*a, z1), (*b, z1), (*b, z2), (*a, z2)], float)
        shade = (0.62, 0.8, 0.95, 0.72)[number]
        parts.append(Part(wall, np.full(4, 0.01), tuple(c * shade for c in colour), 0.0))  # type: ignore[arg-type]
    lid = np.array([(*corner, z2) for corner in corners], float)
    parts.append(Part(lid, np.full(4, 0.01), tuple(min(250.0, c * 1.1) for c in colour), 0.0))  # type: ignore[arg-type]
    return parts


def _tree(rng: np.random.Generator) -> list[Part]:
    height, crown = rng.uniform(3, 9), rng.uniform(1.0, 2.8)
    trunk = np.array([[0, 0, 0], [0, 0, height - crown * 0.6]])
    parts = [Part(trunk, np.array([0.18, 0.12]), (86, 70, 56))]
    base = _green(rng)
    for _ in range(int(rng.integers(50, 100))):
        centre = rng.normal(0, 0.45, 3) * crown * np.array([1, 1, 0.7]) + np.array([0, 0, height])
        shade = base * rng.uniform(0.6, 1.25)
        parts.append(Part(centre[None], np.array([rng.uniform(0.1, 0.26) * crown]), tuple(shade), 0.12))
    return parts


def _bush(rng: np.random.Generator) -> list[Part]:
    base, size = _green(rng), rng.uniform(0.3, 0.9)
    return [
        Part(
            (rng.normal(0, 0.5, 3) * size * np.array([1, 1, 0.3]) + np.array([0, 0, size * 0.6]))[None],
            np.array([rng.uniform(0.25, 0.5) * size]),
            tuple(base * rng.uniform(0.6, 1.25)),
        )
        for _ in range(int(rng.integers(6, 16)))
    ]


def _car(rng: np.random.Generator) -> list[Part]:
    length, width = rng.uniform(3.8, 5), rng.uniform(1.65, 1.95)
    paint = _colour(rng, 20, 240, 15)
    dark = (34.0, 38.0, 44.0)
    half, side = length / 2, width / 2
    parts = []
    for x in (-0.32 * length, 0.3 * length):
        for y in (-side, side):
            parts.append(Part(np.array([[x, y * 0.95, 0.3]]), np.array([0.32]), (24, 24, 26)))
    parts += _box(np.array([-half, -side, 0.35]), np.array([half, side, 0.85]), paint)
    parts += _box(np.array([-half * 0.62, -side * 0.86, 0.85]), np.array([half * 0.38, side * 0.86, 1.35]), dark)
    roof = _box(np.array([-half * 0.5, -side * 0.8, 1.35]), np.array([half * 0.22, side * 0.8, 1.45]), paint)
    return parts + roof


def _post(rng: np.random.Generator) -> list[Part]:
    """A bollard, hydrant, lamp or traffic cone: upright and of two colours, like a person and yet not."""
    height, radius = rng.uniform(0.5, 2.2), rng.uniform(0.05, 0.25)
    cut = height * rng.uniform(0.3, 0.8)
    lower = Part(np.array([[0, 0, 0], [0, 0, cut]]), np.array([radius, radius * rng.uniform(0.7, 1)]), _colour(rng))
    upper = Part(
        np.array([[0, 0, cut], [0, 0, height]]),
        np.array([radius * 0.9, radius * rng.uniform(0.4, 1)]),
        _colour(rng),
    )
    return [lower, upper]


def _lamp(rng: np.random.Generator) -> list[Part]:
    height = rng.uniform(3, 8)
    arm = np.array([[0, 0, height], [rng.uniform(0.3, 1.5), 0, height]])
    grey = _colour(rng, 40, 160, 5)
    return [
        Part(np.array([[0, 0, 0], [0, 0, height]]), np.array([0.09, 0.06]), grey),
        Part(arm, np.array([0.05, 0.1]), grey),
    ]


def _sign(rng: np.random.Generator) -> list[Part]:
    height = rng.uniform(1.4, 2.6)
    plate = np.array([[0, y, z] for y in (-0.3, 0.3) for z in (height - 0.5, height)])
    pole = Part(np.array([[0, 0, 0], [0, 0, height]]), np.array([0.04, 0.04]), (120, 120, 122))
    return [pole, Part(plate, np.full(4, 0.03), _colour(rng, 30, 230, 60), 0.0)]


def _crate(rng: np.random.Generator) -> list[Part]:
    sides = rng.uniform(0.3, 1.4, 3)
    return _box(np.array([-sides[0] / 2, -sides[1] / 2, 0]), np.array([*(sides[:2] / 2), sides[2]]), _colour(rng))


def _wall(rng: np.random.Generator) -> list[Part]:
    length, height = rng.uniform(2, 12), rng.uniform(0.8, 2.6)
    return _box(np.array([-length / 2, -0.15, 0]), np.array([length / 2, 0.15, height]), _colour(rng, 70, 210, 12))


def _kiosk(rng: np.random.Generator) -> list[Part]:
    sides = rng.uniform(1.5, 4, 2)
    low, high = np.array([*(-sides / 2), 0]), np.array([*(sides / 2), rng.uniform(2, 3)])
    return _box(low, high, _colour(rng, 60, 220, 25))


def _bench(rng: np.random.Generator) -> list[Part]:
    wood = _colour(rng, 60, 150, 20)
    seat = _box(np.array([-0.8, -0.22, 0.36]), np.array([0.8, 0.22, 0.44]), wood)
    return seat + _box(np.array([-0.8, 0.18, 0.44]), np.array([0.8, 0.24, 0.8]), wood)


def _bicycle(rng: np.random.Generator) -> list[Part]:
    paint = _colour(rng)
    parts = []
    for x in (-0.52, 0.52):
        angles = np.linspace(0, 2 * np.pi, 9)
        rim = np.stack([x + 0.32 * np.cos(angles), 0 * angles, 0.34 + 0.32 * np.sin(angles)], axis=1)
        parts += [Part(rim[n : n + 2], np.full(2, 0.025), (30, 30, 32), 0.0) for n in range(8)]
    frame = np.array([[-0.52, 0, 0.34], [-0.15, 0, 0.85], [0.4, 0, 0.9], [0.52, 0, 0.34], [0, 0, 0.3]])
    for a, b in ((0, 1), (1, 2), (2, 3), (4, 1), (4, 2)):
        parts.append(Part(frame[[a, b]], np.full(2, 0.03), paint, 0.0))
    return parts


def _parasol(rng: np.random.Generator) -> list[Part]:
    radius, height = rng.uniform(0.9, 1.8), rng.uniform(1.9, 2.6)
    angles = np.linspace(0, 2 * np.pi, 9)[:-1]
    rim = np.stack([radius * np.cos(angles), radius * np.sin(angles), np.full(8, height)], axis=1)
    cone = np.concatenate([rim, [[0, 0, height + 0.5]]])
    pole = Part(np.array([[0, 0, 0], [0, 0, height]]), np.array([0.04, 0.04]), (170, 170, 170))
    return [pole, Part(cone, np.full(9, 0.02), _colour(rng, 40, 240, 50), 0.1)]


# maker, how often against the others
_KINDS: tuple[tuple[Maker, float], ...] = (
    (_tree, 3), (_bush, 3), (_car, 2.5), (_post, 4), (_lamp, 1.5), (_sign, 1.5), (_crate, 2), (_wall, 1),
    (_kiosk, 0.6), (_bench, 1.5), (_bicycle, 2), (_parasol, 0.6),
)  # fmt: skip


def make_thing(rng: np.random.Generator, x: float, y: float, below: float) -> list[Part]:
    """Parts of a random thing that stands at ground point (x, y), in metres, turned at random.

    Nothing reaches higher than `below` metres: a crown in front of the lens shows nothing.
    """
    weights = np.array([weight for _, weight in _KINDS])
    maker = _KINDS[rng.choice(len(_KINDS), p=weights / weights.sum())][0]
    angle = rng.uniform(0, 2 * np.pi)
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
    parts = maker(rng)
    if max(part.points[:, 2].max() for part in parts) > below:
        parts = _post(rng)
    return [Part(part.points @ turn + np.array([x, y, 0]), part.radii, part.colour, part.lit) for part in parts]
