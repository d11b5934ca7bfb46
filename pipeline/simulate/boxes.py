"""Boxy things: houses, walls, kiosks, market stalls, tents, cars, buses, crates, signs."""

from collections.abc import Sequence

import numpy as np

from pipeline.simulate.shapes import Part
from pipeline.simulate.textures import Colour, Texture, facade, grey, heap, letters, loud, roof, stripes, vary

Corner = tuple[float, float, float]
_SHADES = (0.72, 0.9, 1.0, 0.8)  # of the south, east, north and west walls


def _shaded(colour: Sequence[float], by: float) -> Colour:
    return (min(250.0, colour[0] * by), min(250.0, colour[1] * by), min(250.0, colour[2] * by))


def _plate(corners: Sequence[Corner], colour: Colour, texture: Texture | None = None) -> Part:
    """A plate, its corners clockwise from the upper left as seen from its front."""
    return Part(np.array(corners, float), np.full(4, 0.01), colour, 0.0, plate=True, texture=texture)


def frustum(
    low: Corner,
    high: Corner,
    colour: Colour,
    *,
    taper: tuple[float, float] = (0.0, 0.0),
    lid: Colour | None = None,
    walls: Texture | None = None,
    top: Texture | None = None,
) -> list[Part]:
    """Walls and lid of a box from corner `low` to `high`, its lid smaller by `taper` metres at each side."""
    x1, y1, z1 = low
    x2, y2, z2 = high
    a, b = taper
    foot = [(x1, y1), (x2, y1), (x2, y2), (x1, y2)]
    head = [(x1 + a, y1 + b), (x2 - a, y1 + b), (x2 - a, y2 - b), (x1 + a, y2 - b)]
    parts = []
    for number, shade in enumerate(_SHADES):
        after = (number + 1) % 4
        corners = [(*head[number], z2), (*head[after], z2), (*foot[after], z1), (*foot[number], z1)]
        texture = None if walls is None else (walls * (0.8 + 0.2 * shade)).astype(np.uint8)
        parts.append(_plate(corners, _shaded(colour, shade), texture))
    corners = [(*head[3], z2), (*head[2], z2), (*head[1], z2), (*head[0], z2)]
    parts.append(_plate(corners, lid or _shaded(colour, 1.12), top))
    return parts


def building(rng: np.random.Generator, wide: float, deep: float, high: float) -> list[Part]:
    """A house of `wide` (along x) by `deep` by `high` metres, its middle at the origin."""
    wall, cover = facade(rng, max(wide, deep), high), roof(rng, wide, deep)
    low, top = (-wide / 2, -deep / 2, 0.0), (wide / 2, deep / 2, high)
    return frustum(low, top, grey(rng), walls=wall, top=cover)


def wall(rng: np.random.Generator) -> list[Part]:
    """A wall, fence or hedge 2 to 12 m long."""
    half, high, thick = rng.uniform(1, 6), rng.uniform(0.6, 2.4), rng.uniform(0.08, 0.5)
    colour = vary(rng, (58, 84, 40), 12) if rng.random() < 0.35 else grey(rng, 60, 210, 14)
    return frustum((-half, -thick, 0.0), (half, thick, high), colour)


def crate(rng: np.random.Generator) -> list[Part]:
    """A box, bin, cupboard or planter."""
    x, y, z = (float(side) for side in rng.uniform(0.15, 0.7, 3))
    colour = loud(rng) if rng.random() < 0.3 else grey(rng, 30, 220, 25)
    lid = vary(rng, (60, 90, 40), 15) if rng.random() < 0.25 else None
    return frustum((-x, -y, 0.0), (x, y, 2 * z), colour, taper=(rng.uniform(0, 0.1) * x, 0.0), lid=lid)


def kiosk(rng: np.random.Generator) -> list[Part]:
    """A booth, container or van-like box."""
    x, y, z = rng.uniform(0.8, 2.6), rng.uniform(0.7, 1.6), rng.uniform(1.9, 2.9)
    colour = loud(rng) if rng.random() < 0.4 else grey(rng, 60, 235, 15)
    top = stripes(rng, int(rng.integers(4, 14))) if rng.random() < 0.3 else None
    return frustum((-x, -y, 0.0), (x, y, z), colour, top=top)


def stall(rng: np.random.Generator) -> list[Part]:
    """A market stall: a table with goods, often under an awning on posts."""
    x, y, z = rng.uniform(0.7, 1.8), rng.uniform(0.35, 0.8), rng.uniform(0.6, 0.95)
    parts = frustum((-x, -y, 0.0), (x, y, z), grey(rng, 40, 200, 25), top=heap(rng))
    if rng.random() < 0.5:
        a, b, high = x + 0.3, y + rng.uniform(0.2, 0.8), rng.uniform(1.9, 2.5)
        cover = stripes(rng, int(rng.integers(4, 16)))
        for cx, cy in ((-a, -b), (a, -b), (a, b), (-a, b)):
            post = np.array([[cx, cy, 0], [cx, cy, high]])
            parts.append(Part(post, np.full(2, 0.03), (150.0, 150.0, 150.0)))
        parts.append(
            _plate([(-a, b, high), (a, b, high), (a, -b, high - 0.2), (-a, -b, high - 0.2)], grey(rng), cover)
        )
    return parts


def tent(rng: np.random.Generator) -> list[Part]:
    """A ridge or dome tent."""
    x, y, z = rng.uniform(0.9, 1.8), rng.uniform(0.7, 1.4), rng.uniform(0.9, 1.7)
    colour = loud(rng) if rng.random() < 0.6 else grey(rng, 60, 220, 20)
    taper = (0.0, 0.95 * y) if rng.random() < 0.5 else (0.5 * x, 0.5 * y)
    return frustum((-x, -y, 0.0), (x, y, z), colour, taper=taper)


def pavilion(rng: np.random.Generator) -> list[Part]:
    """A roof on four posts with thick joints, which are as tall as a person and stand like one."""
    half, eaves = rng.uniform(1.2, 2.2), rng.uniform(1.8, 2.3)
    post, joint = grey(rng, 90, 230, 8), grey(rng, 20, 120, 8)
    parts = []
    for x, y in ((-half, -half), (half, -half), (half, half), (-half, half)):
        parts.append(Part(np.array([[x, y, 0], [x, y, eaves]]), np.full(2, rng.uniform(0.02, 0.05)), post))
        parts += [Part(np.array([[x, y, at]]), np.full(1, rng.uniform(0.06, 0.11)), joint) for at in (0.1, eaves)]
    cover = loud(rng) if rng.random() < 0.4 else grey(rng, 150, 245, 10)
    low, high, slope = (-half, -half, eaves), (half, half, eaves + rng.uniform(0.4, 0.9)), 0.9 * half
    return parts + frustum(low, high, cover, taper=(slope, slope))


def table(rng: np.random.Generator) -> list[Part]:
    """A table with four stools."""
    half = rng.uniform(0.35, 0.7)
    colour = loud(rng) if rng.random() < 0.4 else grey(rng, 60, 235, 20)
    parts = frustum((-half, -half, 0.68), (half, half, 0.74), colour)
    stool = loud(rng) if rng.random() < 0.5 else grey(rng, 30, 200)
    for x, y in ((half + 0.4, 0.0), (-half - 0.4, 0.0), (0.0, half + 0.4), (0.0, -half - 0.4)):
        if rng.random() < 0.8:
            parts.append(Part(np.array([[x, y, 0.05], [x, y, 0.45]]), np.array([0.16, 0.17]), stool))
    return parts


def bench(rng: np.random.Generator) -> list[Part]:
    """A bench with a back."""
    wood = grey(rng, 60, 170, 20)
    seat = frustum((-0.8, -0.22, 0.36), (0.8, 0.22, 0.44), wood)
    return seat + frustum((-0.8, 0.18, 0.44), (0.8, 0.24, 0.8), wood)


def sign(rng: np.random.Generator) -> list[Part]:
    """A sign or banner on one or two poles."""
    high, half = rng.uniform(1.4, 4.0), rng.uniform(0.25, 1.4)
    tall = rng.uniform(0.4, 0.9)
    face: Texture = np.empty((40, 80, 3), np.uint8)
    face[:] = np.array(loud(rng) if rng.random() < 0.6 else grey(rng, 30, 240))
    letters(rng, face, (6, 8, 68, 10))
    letters(rng, face, (12, 24, 50, 8))
    parts = [
        Part(np.array([[x, 0, 0], [x, 0, high]]), np.full(2, 0.04), (124.0, 124.0, 126.0))
        for x in ((-half, half) if half > 0.6 else (0.0,))
    ]
    return parts + frustum((-half, -0.03, high - tall), (half, 0.03, high), grey(rng), walls=face)


_PAINTS = (((226, 226, 224), 4.0), ((28, 28, 32), 3.0), ((130, 132, 136), 2.5), ((176, 178, 180), 2.0),
           ((140, 32, 36), 1.0), ((42, 62, 110), 1.0), ((96, 84, 66), 0.5))  # fmt: skip


def car(rng: np.random.Generator) -> list[Part]:
    """A car, its nose towards +x."""
    weights = np.array([weight for _, weight in _PAINTS])
    base = _PAINTS[rng.choice(len(_PAINTS), p=weights / weights.sum())][0]
    colour = loud(rng) if rng.random() < 0.08 else vary(rng, base, 5)
    half, side = rng.uniform(1.9, 2.45), rng.uniform(0.82, 0.95)
    tall = rng.uniform(1.4, 1.75)
    glass = vary(rng, (40, 46, 54), 8, 0.3)
    parts = [
        Part(np.array([[x, y, 0.3], [x, y * 0.8, 0.3]]), np.full(2, 0.31), (22.0, 22.0, 24.0))
        for x in (-0.64 * half, 0.6 * half)
        for y in (-side * 0.9, side * 0.9)
    ]
    parts += frustum((-half, -side, 0.22), (half, side, 0.62), _shaded(colour, 0.9), taper=(-0.02, -0.02))
    parts += frustum((-half, -side, 0.6), (half, side, 0.88), colour, taper=(0.12, 0.06))
    back, front = -half * rng.uniform(0.7, 0.97), half * rng.uniform(0.3, 0.5)
    parts += frustum(
        (back, -side + 0.08, 0.88), (front, side - 0.08, tall), glass,
        taper=(0.42 * (tall - 0.88) / 0.55, 0.16), lid=_shaded(colour, 1.08),
    )  # fmt: skip
    for y in (-0.65, 0.65):  # lamps, front and rear
        parts.append(Part(np.array([[half, y, 0.62]]), np.array([0.1]), (226.0, 226.0, 214.0), 0.0))
        parts.append(Part(np.array([[-half, y, 0.66]]), np.array([0.09]), (150.0, 26.0, 26.0), 0.0))
    return parts


def van(rng: np.random.Generator) -> list[Part]:
    """A van, lorry or bus."""
    half, side, tall = rng.uniform(2.4, 6.0), rng.uniform(0.95, 1.25), rng.uniform(2.0, 3.1)
    colour = loud(rng) if rng.random() < 0.3 else vary(rng, (222, 222, 220), 5)
    glass = (44.0, 50.0, 58.0)
    top = roof(rng, 2 * half, 2 * side) if rng.random() < 0.3 else None
    parts = frustum((-half, -side, 0.35), (half, side, 0.45 * tall), colour)
    if rng.random() < 0.6:
        parts += frustum((-half, -side, 0.45 * tall), (half, side, 0.78 * tall), glass)
        return parts + frustum((-half, -side, 0.78 * tall), (half, side, tall), colour, taper=(0.1, 0.1), top=top)
    return parts + frustum((-half, -side, 0.45 * tall), (half, side, tall), vary(rng, colour, 10, 0.2), top=top)
