"""Things around the people, which hide them or resemble them, and their places."""

from collections.abc import Callable

import numpy as np

from pipeline.simulate import boxes
from pipeline.simulate.camera import Points
from pipeline.simulate.ground import Ground
from pipeline.simulate.shapes import Part, turn_of
from pipeline.simulate.textures import Colour, grey, loud, puff, vary

Thing = list[Part]
Maker = Callable[[np.random.Generator], Thing]

_GREENS = (
    (58, 88, 38),
    (74, 104, 46),
    (44, 72, 40),
    (98, 116, 52),
    (120, 116, 56),
    (66, 82, 56),
    (140, 150, 60),
)


def _green(rng: np.random.Generator) -> Colour:
    return vary(rng, _GREENS[rng.integers(len(_GREENS))], 6, 0.2)


def _leaves(rng: np.random.Generator, centre: Points, spread: Points, size: float, count: int) -> Thing:
    """`count` clumps of leaves around `centre`, the lower ones darker."""
    base = np.array(_green(rng))
    textures = [puff(rng, base * shade) for shade in (0.65, 0.85, 1.05, 1.15)]
    parts = []
    for height in rng.random(count):
        place = centre + np.append(rng.uniform(-1, 1, 2), 2 * height - 1) * spread
        radius = np.array([size * rng.uniform(0.75, 1.25)])
        parts.append(Part(place[None], radius, (0.0, 0.0, 0.0), 0, texture=textures[int(4 * height)]))
    return parts


def _tree(rng: np.random.Generator) -> Thing:
    height, crown = rng.uniform(3, 9), rng.uniform(0.8, 2.6)
    trunk = np.array([[0, 0, 0], [0, 0, height - crown * 0.3]])
    spread = np.array([0.62, 0.62, 0.5]) * crown
    leaves = _leaves(rng, np.array([0, 0, height]), spread, 0.6 * crown, int(rng.integers(7, 15)))
    return [Part(trunk, np.array([0.15, 0.1]), vary(rng, (86, 72, 60))), *leaves]


def _bush(rng: np.random.Generator) -> Thing:
    size = rng.uniform(0.3, 1.1)
    spread = np.array([rng.uniform(0.4, 1.6), 0.4, 0.25]) * size
    return _leaves(rng, np.array([0, 0, 0.55 * size]), spread, 0.5 * size, int(rng.integers(3, 9)))


def _post(rng: np.random.Generator) -> Thing:
    """A bollard, hydrant, bin or cone: upright and of two colours, like a person and yet not."""
    height, radius = rng.uniform(0.5, 2.0), rng.uniform(0.05, 0.24)
    cut = height * rng.uniform(0.3, 0.8)
    first, second = (loud(rng) if rng.random() < 0.35 else grey(rng, 20, 230, 20) for _ in range(2))
    lower = Part(np.array([[0, 0, radius], [0, 0, cut]]), np.array([radius, radius * rng.uniform(0.7, 1)]), first)
    upper = np.array([[0, 0, cut], [0, 0, height]])
    return [lower, Part(upper, np.array([radius * 0.9, radius * rng.uniform(0.4, 1)]), second)]


def _statue(rng: np.random.Generator) -> Thing:
    """Blobs on blobs in one colour: a statue, a sack, a covered machine."""
    colour = grey(rng, 30, 210, 12)
    centre = np.cumsum(np.concatenate([np.zeros((1, 3)), rng.normal([0, 0, 0.35], [0.12, 0.12, 0.12], (4, 3))]), 0)
    centre[:, 2] += 0.25
    return [Part(place[None], rng.uniform(0.12, 0.36, 1), vary(rng, colour, 5)) for place in centre]


def _lamp(rng: np.random.Generator) -> Thing:
    height = rng.uniform(3, 8)
    arm = np.array([[0, 0, height], [rng.uniform(0.3, 1.8), 0, height]])
    colour = grey(rng, 40, 190, 5)
    pole = Part(np.array([[0, 0, 0], [0, 0, height]]), np.array([0.09, 0.06]), colour)
    return [pole, Part(arm, np.array([0.05, 0.1]), colour)]


def cycle(rng: np.random.Generator) -> Thing:
    """A bicycle or a scooter, its front towards +x; a saddle stands 0.85 m or 0.75 m above the ground."""
    colour = loud(rng) if rng.random() < 0.4 else grey(rng, 20, 200, 15)
    parts: Thing = []
    for x in (-0.52, 0.52):
        angles = np.linspace(0, 2 * np.pi, 9)
        rim = np.stack([x + 0.32 * np.cos(angles), 0 * angles, 0.34 + 0.32 * np.sin(angles)], axis=1)
        parts += [Part(rim[n : n + 2], np.full(2, 0.03), (30, 30, 32), 0.0) for n in range(8)]
    frame = np.array([[-0.52, 0, 0.34], [-0.15, 0, 0.85], [0.4, 0, 0.95], [0.52, 0, 0.34], [0, 0, 0.3]])
    for a, b in ((0, 1), (1, 2), (2, 3), (4, 1), (4, 2)):
        parts.append(Part(frame[[a, b]], np.full(2, 0.03), colour, 0.0))
    bar = np.array([[0.38, -0.28, 1.0], [0.38, 0.28, 1.0]])
    parts.append(Part(bar, np.full(2, 0.025), (40, 40, 42), 0.0))
    if rng.random() < 0.55:  # a motor scooter has a body
        parts.append(Part(np.array([[-0.6, 0, 0.5], [-0.1, 0, 0.6], [-0.5, 0, 0.7]]), np.full(3, 0.17), colour))
        parts.append(Part(np.array([[0.42, 0, 0.4], [0.36, 0, 0.9]]), np.array([0.14, 0.16]), colour))
        parts.append(Part(np.array([[-0.1, 0, 0.3], [0.35, 0, 0.3]]), np.full(2, 0.12), (50, 50, 54)))
    return parts


def _parasol(rng: np.random.Generator) -> Thing:
    radius, height = rng.uniform(0.5, 1.8), rng.uniform(1.7, 2.6)
    angles = np.linspace(0, 2 * np.pi, 9)[:-1]
    rim = np.stack([radius * np.cos(angles), radius * np.sin(angles), np.full(8, height)], axis=1)
    cone = np.concatenate([rim, [[0, 0, height + 0.5]]])
    pole = Part(np.array([[0, 0, 0], [0, 0, height]]), np.array([0.04, 0.04]), (170, 170, 170))
    colour = loud(rng) if rng.random() < 0.6 else grey(rng)
    return [pole, Part(cone, np.full(9, 0.02), colour, 0.1)]


def _tripod(rng: np.random.Generator) -> Thing:
    """A camera, level or lamp on three legs."""
    high, spread = rng.uniform(0.9, 1.9), rng.uniform(0.25, 0.6)
    legs, head = grey(rng, 20, 190, 10), loud(rng) if rng.random() < 0.3 else grey(rng, 20, 110, 10)
    turns = rng.uniform(0, 2 * np.pi) + 2 * np.pi / 3 * np.arange(3)
    feet = np.stack([spread * np.cos(turns), spread * np.sin(turns), np.zeros(3)], axis=1)
    parts = [Part(np.array([foot, (0, 0, high)]), np.full(2, 0.025), legs) for foot in feet]
    top = high + rng.uniform(0.05, 0.25)
    return [*parts, Part(np.array([[0, 0, high], [0, 0, top]]), rng.uniform(0.06, 0.16, 2), head)]


_Kinds = tuple[tuple[Maker, float, float], ...]  # maker, how often, the gap in a row of its kind; 0: never in one
_KINDS: _Kinds = (
    (_tree, 3, 5.0), (_bush, 3, 1.6), (boxes.car, 2.5, 2.6), (boxes.van, 0.7, 3.4), (_post, 4, 1.5),
    (_lamp, 1.5, 0), (boxes.sign, 1.5, 0), (boxes.crate, 2, 1.2), (boxes.wall, 1, 0), (boxes.kiosk, 0.7, 4.0),
    (boxes.stall, 1.2, 3.0), (boxes.table, 0.7, 2.4), (boxes.bench, 1.2, 3.0), (cycle, 2.2, 0.7),
    (_parasol, 0.6, 3.2), (_statue, 0.8, 0),
)  # fmt: skip

_CAMP: _Kinds = ((boxes.tent, 2, 3.4), (boxes.pavilion, 2, 5.0), (_tripod, 3, 1.5))


def _placed(parts: Thing, x: float, y: float, angle: float) -> Thing:
    turn = turn_of(angle)
    return [part.moved(turn, np.array([x, y, 0.0])) for part in parts]


def make_things(rng: np.random.Generator, ground: Ground, places: Points, below: float) -> list[Thing]:
    """Things around `places` (n, 2), one or a row of its kind at each, and what goes with the streets.

    Args:
        rng: source.
        ground: on which they stand; rows and most things follow its axis.
        places: metres.
        below: none but houses reaches higher, metres: a crown in front of the lens shows nothing.

    """
    return _around(rng, ground, places, below, _KINDS) + _along_streets(rng, ground, below)


def make_camp(rng: np.random.Generator, ground: Ground, places: Points, below: float) -> list[Thing]:
    """Tents, pavilions and tripods around `places`; see `make_things`."""
    return _around(rng, ground, places, below, _CAMP)


def _around(rng: np.random.Generator, ground: Ground, places: Points, below: float, kinds: _Kinds) -> list[Thing]:
    weights = np.array([weight for _, weight, _ in kinds])
    things: list[Thing] = []
    for x, y in places:
        maker, _, gap = kinds[rng.choice(len(kinds), p=weights / weights.sum())]
        free = rng.random() < 0.4
        angle = rng.uniform(0, 2 * np.pi) if free else ground.axis + np.pi / 2 * rng.integers(4)
        count = int(rng.integers(2, 7)) if gap and rng.random() < 0.35 else 1
        row = ground.axis + np.pi / 2 * rng.integers(2)
        if count > 1:
            angle = row + np.pi / 2  # side by side
        for number in range(count):
            shift = number * gap * rng.uniform(0.9, 1.3)
            thing = maker(rng)
            if _top(thing) < below:
                things.append(_placed(thing, x + shift * np.cos(row), y + shift * np.sin(row), angle))
    return things


def _top(thing: Thing) -> float:
    return max(float((part.points[:, 2] + part.radii).max()) for part in thing)


def _along_streets(rng: np.random.Generator, ground: Ground, below: float) -> list[Thing]:
    """Cars on the lanes, parked ones at the kerb, trees on the pavement."""
    things: list[Thing] = []
    for street in ground.streets:
        reach = min(0.5 * ground.side, 45.0)
        rows: list[tuple[Maker, float, float, float]] = []  # maker, across, gap, share of places taken
        for side in (-1, 1):
            edge = side * street.width / 2
            if rng.random() < 0.4:
                rows.append((boxes.car, edge - side * 1.15, 5.6, rng.uniform(0.2, 0.9)))
            if rng.random() < 0.5:
                rows.append((boxes.car if rng.random() < 0.8 else boxes.van, edge / 2, 13.0, rng.uniform(0.1, 0.6)))
            if street.pavement and rng.random() < 0.45:
                rows.append((_tree, edge + side * 0.8, rng.uniform(4, 9), 0.8))
            if street.pavement and rng.random() < 0.25:
                rows.append((cycle, edge + side * 0.6, 0.8, rng.uniform(0.1, 0.5)))
        for maker, across, gap, share in rows:
            turned = np.pi / 2 if maker is cycle else 0.0
            for along in np.arange(-reach, reach, gap):
                if rng.random() > share or len(things) > 60:
                    continue
                x, y = street.at(along + rng.normal(0, 0.1 * gap), across + rng.normal(0, 0.1))
                thing = maker(rng)
                if _top(thing) < below:
                    things.append(_placed(thing, x, y, street.angle + turned + np.pi * rng.integers(2)))
    return things


def make_houses(rng: np.random.Generator, away: Points, near: float, altitude: float) -> list[Thing]:
    """Houses in a row beyond what a camera looks at, sometimes with a belt of trees instead of some.

    Args:
        rng: source.
        away: float64 (2,), unit vector along the ground, square to the row.
        near: how far from the origin the row begins, metres.
        altitude: of the camera, metres; houses stay below it.

    """
    across = np.array([-away[1], away[0]])
    turn = float(np.arctan2(across[1], across[0]))
    things: list[Thing] = []
    at = -rng.uniform(20, 60)
    for _ in range(int(rng.integers(2, 7))):
        wide, deep = rng.uniform(6, 26), rng.uniform(6, 14)
        middle = near + deep / 2 + rng.uniform(0, 2)
        if rng.random() < 0.25:
            for _ in range(int(rng.integers(3, 9))):
                centre = away * (middle + rng.normal(0, 3)) + across * (at + rng.uniform(0, wide))
                tree = _tree(rng)
                if _top(tree) < altitude:
                    things.append(_placed(tree, centre[0], centre[1], 0.0))
        else:
            centre = away * middle + across * (at + wide / 2)
            high = float(min(rng.uniform(3, 22), 0.85 * altitude))
            things.append(_placed(boxes.building(rng, wide, deep, high), centre[0], centre[1], turn))
        at += wide + float(rng.choice([0.0, rng.uniform(1, 8)]))
    return things
