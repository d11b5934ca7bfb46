"""Simulated people: their clothes, their build, and how they walk, sit and ride."""

from dataclasses import dataclass, field, replace

import numpy as np

from pipeline.simulate.camera import Points
from pipeline.simulate.shapes import Part, turn_of
from pipeline.simulate.textures import Colour, loud

_SKIN = ((236, 198, 170), (222, 178, 146), (206, 158, 124), (172, 124, 92), (132, 90, 64), (92, 62, 46))
# Colour and how often: most heads are dark, most clothes black, white, grey or blue.
_HAIR = (
    ((24, 20, 20), 5),
    ((40, 30, 26), 3),
    ((78, 56, 38), 1.5),
    ((150, 118, 76), 0.7),
    ((150, 146, 142), 0.6),
)
_TOPS = (
    ((26, 26, 30), 5), ((48, 50, 56), 2), ((94, 96, 100), 1.5), ((150, 152, 156), 1), ((228, 228, 226), 4.5),
    ((36, 48, 84), 2), ((64, 92, 140), 1), ((146, 172, 204), 1.2), ((190, 178, 154), 0.8), ((96, 78, 60), 0.6),
    ((62, 74, 56), 0.6), ((186, 40, 44), 1.2), ((222, 150, 160), 0.6), ((200, 168, 60), 0.4), ((124, 44, 58), 0.5),
)  # fmt: skip
_BOTTOMS = (
    ((24, 24, 28), 6), ((34, 38, 54), 3), ((50, 66, 98), 3), ((92, 114, 146), 1.2), ((78, 78, 82), 1.5),
    ((170, 156, 130), 1), ((110, 96, 76), 0.7), ((210, 208, 204), 0.8), ((70, 74, 58), 0.5),
)  # fmt: skip
_SHOES = (((28, 28, 30), 4), ((222, 222, 220), 3), ((96, 80, 64), 1), ((90, 92, 98), 1))

Palette = tuple[tuple[tuple[int, int, int], float], ...]


@dataclass(frozen=True)
class Look:
    """What makes a person recognisable; lengths in metres, colours RGB 0..255."""

    height: float
    build: float
    skin: Colour
    hair: Colour
    top: Colour
    bottom: Colour
    shoes: Colour
    sleeves: float  # 0 bare arms, 0.5 short sleeves, 1 long ones
    legs: str  # trousers, shorts, skirt, dress
    stripe: Colour | None
    logo: Colour | None
    coat: bool
    long_hair: bool
    bald: bool
    hat: Colour | None
    backpack: Colour | None
    bag: Colour | None
    umbrella: Colour | None
    accent: Points = field(repr=False, compare=False)


def cast_member(seed: int, number: int) -> Look:
    """The look of person `number` of the cast `seed`: always the same, different from most others'."""
    rng = np.random.default_rng((seed, number, 7))

    def pick(colours: Palette, loudly: float = 0.0) -> Colour:
        if rng.random() < loudly:
            return loud(rng)
        weights = np.array([weight for _, weight in colours])
        base = np.array(colours[rng.choice(len(colours), p=weights / weights.sum())][0])
        chosen = (base * rng.uniform(0.85, 1.15) + rng.normal(0, 7, 3)).clip(8, 246)
        return (float(chosen[0]), float(chosen[1]), float(chosen[2]))

    def maybe(share: float) -> Colour | None:
        return pick(_TOPS, 0.35) if rng.random() < share else None

    legs = str(rng.choice(["trousers", "shorts", "skirt", "dress"], p=[0.68, 0.16, 0.08, 0.08]))
    top = pick(_TOPS, 0.12)
    child = rng.random() < 0.07
    return Look(
        height=float(rng.uniform(1.0, 1.45) if child else np.clip(rng.normal(1.69, 0.08), 1.48, 1.95)),
        build=float(np.clip(rng.normal(1.02, 0.12), 0.78, 1.4)),
        skin=pick(tuple((colour, 1.0) for colour in _SKIN)),
        hair=pick(_HAIR),
        top=top,
        bottom=top if legs == "dress" else pick(_BOTTOMS, 0.06),
        shoes=pick(_SHOES, 0.08),
        sleeves=float(rng.choice([0.0, 0.5, 1.0], p=[0.12, 0.44, 0.44])),
        legs=legs,
        stripe=maybe(0.15),
        logo=maybe(0.25),
        coat=bool(rng.random() < 0.15),
        long_hair=bool(rng.random() < 0.33),
        bald=bool(rng.random() < 0.04),
        hat=maybe(0.14),
        backpack=maybe(0.18),
        bag=maybe(0.2),
        umbrella=maybe(0.025),
        accent=rng.random(4),
    )


@dataclass(frozen=True)
class Pose:
    """Where and how a person stands.

    Attributes:
        x: metres east.
        y: metres north.
        heading: radians from east towards north.
        phase: of the step, radians; a whole turn is two steps.
        stride: swing of the legs, radians; 0 stands.
        crouch: 0 upright .. 1 sitting.
        arms: what they do: swing, hips, phone, folded, front (on a handlebar), raised.
        lift: how far the feet are above the ground, metres, as on a bicycle.
        lean: how much the upper body leans forward, as a share of the height.

    """

    x: float
    y: float
    heading: float
    phase: float = 0.0
    stride: float = 0.45
    crouch: float = 0.0
    arms: str = "swing"
    lift: float = 0.0
    lean: float = 0.0


ARMS = ("swing", "hips", "phone", "folded", "front", "raised")
_SWINGS = ("swing", "swing", "swing", "phone", "folded", "hips", "raised")


def random_arms(rng: np.random.Generator, *, standing: bool) -> str:
    """What somebody's arms do: mostly hang or swing."""
    return str(rng.choice(_SWINGS[2:])) if standing else str(rng.choice(["swing"] * 8 + ["phone", "folded"]))


def riding(look: Look, pose: Pose, lean: float = 0.05) -> Pose:
    """`pose` on a saddle 0.87 m above the ground, hands on the handlebar."""
    seat = 0.87 - 0.27 * look.height
    return replace(pose, stride=0.25, crouch=0.85, arms="front", lift=seat, lean=lean)


class _Body:
    """Collects parts in the person's own axes: forward, left, up."""

    def __init__(self, pose: Pose) -> None:
        self._turn = turn_of(pose.heading)
        self._origin = np.array([pose.x, pose.y, pose.lift])
        self.parts: list[Part] = []

    def add(self, points: list[Points], radii: list[float], colour: Colour, lit: float = 0.12) -> None:
        world = np.array(points) @ self._turn + self._origin
        self.parts.append(Part(world, np.array(radii), colour, lit))


def body(look: Look, pose: Pose) -> list[Part]:
    """The parts of a person of `look` in `pose`."""
    h, build = look.height, look.build
    build_body = _Body(pose)
    drop = 0.24 * h * pose.crouch
    hip_z, shoulder_z = 0.51 * h - drop, 0.80 * h - drop
    lean = (0.03 + 0.08 * pose.crouch + 0.05 * max(0.0, pose.stride - 0.5) + pose.lean) * h
    hip_w, shoulder_w = 0.052 * h * build, 0.098 * h * build
    bob = 0.01 * h * np.cos(2 * pose.phase) * min(1.0, pose.stride * 2)
    for side in (-1, 1):
        _leg(build_body, look, pose, side, hip_w, hip_z + bob)
    _torso(build_body, look, hip_w, shoulder_w, hip_z + bob, shoulder_z + bob, lean)
    for side in (-1, 1):
        _arm(build_body, look, pose, side, shoulder_w, shoulder_z + bob, lean)
    _head(build_body, look, shoulder_z + bob, lean)
    _belongings(build_body, look, shoulder_w, hip_z + bob, shoulder_z + bob, lean)
    return build_body.parts


def _limb(start: Points, angle: float, length: float) -> Points:
    """The end of a limb that hangs from `start`, swung forward by `angle` radians."""
    return start + length * np.array([np.sin(angle), 0.0, -np.cos(angle)])


def _leg(out: _Body, look: Look, pose: Pose, side: int, hip_w: float, hip_z: float) -> None:
    h = look.height
    swing = pose.stride * np.sin(pose.phase + (0 if side > 0 else np.pi))
    bend = pose.stride * max(0.0, np.cos(pose.phase + (0 if side > 0 else np.pi))) * 1.1
    hip = np.array([0.0, side * hip_w, hip_z])
    thigh = swing + 1.25 * pose.crouch
    knee = _limb(hip, thigh, 0.235 * h)
    ankle = _limb(knee, swing - bend - 0.25 * pose.crouch, 0.235 * h)
    ankle[2] = max(ankle[2], 0.035 * h)
    thick = 0.046 * h * look.build
    long_legs = look.legs == "trousers"
    upper = look.skin if look.legs in ("skirt", "dress") else look.bottom
    out.add([hip, knee], [thick, thick * 0.75], upper)
    out.add([knee, ankle], [thick * 0.72, thick * 0.5], look.bottom if long_legs else look.skin)
    toe = ankle + np.array([0.085 * h, 0.0, -0.012 * h])
    out.add([ankle - np.array([0.015 * h, 0, 0.01 * h]), toe], [0.024 * h, 0.02 * h], look.shoes, 0.1)


def _torso(
    out: _Body, look: Look, hip_w: float, shoulder_w: float, hip_z: float, shoulder_z: float, lean: float
) -> None:
    h, depth = look.height, 0.062 * look.height * look.build

    def ring(x: float, width: float, z: float) -> list[Points]:
        return [np.array([x, side * width, z]) for side in (-1.0, 1.0)]

    hips, chest = ring(0, hip_w, hip_z), ring(lean, shoulder_w * 0.8, shoulder_z - 0.03 * h)
    out.add(hips + ring(lean / 2, hip_w, hip_z + 0.08 * h), [depth] * 4, look.bottom)
    if look.legs in ("skirt", "dress"):
        hem = ring(0, hip_w * 1.3, hip_z - (0.14 + 0.14 * look.accent[0]) * h)
        out.add(hips + hem, [depth] * 2 + [depth * 1.15] * 2, look.bottom)
    waist = ring(lean * 0.3, hip_w * 1.02, hip_z + 0.05 * h)
    out.add(waist + chest, [depth * 0.95] * 2 + [depth * 0.9] * 2, look.top)
    if look.coat:
        hem = ring(0, hip_w * 1.2, hip_z - 0.17 * h)
        out.add(hips + hem, [depth * 1.15] * 4, look.top)
    if look.stripe:
        height = hip_z + (0.12 + 0.12 * look.accent[1]) * h
        thickness = (0.012 + 0.03 * look.accent[2]) * h
        band = ring(lean * 0.6, hip_w * 1.15, height) + ring(lean * 0.6, hip_w * 1.15, height + thickness)
        out.add(band, [depth * 0.96] * 4, look.stripe)
    if look.logo:
        sign = depth * (1 if look.accent[1] > 0.4 else -1)
        spot = np.array([lean * 0.8 + 0.55 * sign, 0, hip_z + (0.16 + 0.06 * look.accent[2]) * h])
        size = (0.02 + 0.02 * look.accent[0]) * h
        out.add([spot, spot + np.array([0, 0, 0.02])], [size, size], look.logo, 0)


def _arm(out: _Body, look: Look, pose: Pose, side: int, shoulder_w: float, shoulder_z: float, lean: float) -> None:
    h = look.height
    shoulder = np.array([lean, side * (shoulder_w + 0.012 * h), shoulder_z - 0.02 * h])
    elbow, hand = _reach(pose, look, side, shoulder)
    thick = 0.029 * h * look.build
    out.add([shoulder, elbow], [thick, thick * 0.85], look.top if look.sleeves else look.skin)
    out.add([elbow, hand], [thick * 0.8, thick * 0.65], look.top if look.sleeves == 1 else look.skin)
    out.add([hand], [0.026 * h], look.skin)
    if look.bag and side < 0:
        out.add([hand - np.array([0.05, 0, 0.05]), hand - np.array([-0.05, 0, 0.22])], [0.06, 0.08], look.bag)


def _reach(pose: Pose, look: Look, side: int, shoulder: Points) -> tuple[Points, Points]:
    """Where elbow and hand are."""
    h, arms = look.height, pose.arms
    if arms == "phone" and side > 0:
        arms = "swing"
    fixed = {  # elbow and hand from the shoulder: forward, outward, up, as shares of the height
        "hips": ((-0.03, 0.11, -0.12), (0.02, -0.01, -0.25)),
        "phone": ((0.03, 0.03, -0.15), (0.13, -0.03, -0.04)),
        "folded": ((0.03, 0.03, -0.15), (0.1, -0.12, -0.13)),
        "front": ((0.1, 0.03, -0.12), (0.24, 0.02, -0.15)),
        "raised": ((0.06, 0.12, 0.04), (0.05, 0.14, 0.19)),
    }
    if arms in fixed:
        elbow, hand = (shoulder + h * np.array([x, side * y, z]) for x, y, z in fixed[arms])
        return elbow, hand
    swing = -0.8 * pose.stride * np.sin(pose.phase + (0 if side > 0 else np.pi))
    bend = 0.3 + 0.9 * max(0.0, pose.stride - 0.45) + 0.5 * look.accent[3] * (side > 0)
    elbow = _limb(shoulder, swing, 0.165 * h) + np.array([0, side * 0.02 * h, 0])
    return elbow, _limb(elbow, swing + bend, 0.155 * h)


def _head(out: _Body, look: Look, shoulder_z: float, lean: float) -> None:
    h = look.height
    neck = np.array([lean, 0, shoulder_z])
    centre = np.array([lean + 0.015 * h, 0, shoulder_z + 0.115 * h])
    out.add([neck, centre - np.array([0, 0, 0.05 * h])], [0.03 * h, 0.03 * h], look.skin)
    out.add([centre - np.array([0, 0, 0.025 * h]), centre], [0.043 * h, 0.05 * h], look.skin)
    crown = centre + np.array([-0.012 * h, 0, 0.022 * h])
    back = crown - np.array([0.015 * h, 0, (0.12 if look.long_hair else 0.04) * h])
    if not look.bald:
        out.add([crown, back], [0.052 * h, 0.044 * h], look.hair, 0.1)
        fringe = centre + np.array([0.018 * h, 0, 0.05 * h])
        out.add([crown, fringe], [0.048 * h, 0.026 * h], look.hair, 0.1)
    if look.hat:
        brim = crown + np.array([0.05 * h, 0, 0.012 * h])
        out.add([crown + np.array([0, 0, 0.018 * h]), brim], [0.053 * h, 0.03 * h], look.hat)


def _belongings(out: _Body, look: Look, shoulder_w: float, hip_z: float, shoulder_z: float, lean: float) -> None:
    h = look.height
    if look.backpack:
        back = [
            np.array([lean * 0.7 - 0.1 * h, side * shoulder_w * 0.55, z])
            for side in (-1, 1)
            for z in (hip_z + 0.08 * h, shoulder_z - 0.05 * h)
        ]
        out.add(back, [0.055 * h] * 4, look.backpack)
    if look.umbrella:
        angles = np.linspace(0, 2 * np.pi, 8, endpoint=False)
        rim = [np.array([lean + 0.5 * np.cos(a), 0.5 * np.sin(a), 1.12 * h]) for a in angles]
        out.add([*rim, np.array([lean, 0, 1.25 * h])], [0.01] * 9, look.umbrella, 0.12)
