"""Simulated people: what they look like, how they are built, how they walk."""

from dataclasses import dataclass, field

import numpy as np

from pipeline.simulate.camera import Points
from pipeline.simulate.shapes import Part

Colour = tuple[float, float, float]

_SKIN = ((241, 205, 178), (224, 176, 144), (198, 144, 108), (150, 102, 72), (98, 66, 48))
_HAIR = ((28, 22, 20), (52, 36, 26), (92, 62, 38), (160, 124, 74), (120, 116, 112), (210, 206, 198))
# Most people wear black, grey, white and blue; a tenth of a crowd is loud.
_QUIET = ((24, 24, 28), (52, 54, 60), (96, 98, 102), (226, 226, 222), (40, 54, 92), (70, 96, 140),
          (150, 170, 196), (196, 186, 164), (92, 78, 60), (60, 72, 54))  # fmt: skip
_LOUD = (
    (196, 40, 44),
    (226, 110, 40),
    (236, 200, 60),
    (60, 150, 80),
    (40, 120, 190),
    (150, 70, 160),
    (232, 130, 160),
)


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
    coat: bool
    long_hair: bool
    hat: Colour | None
    backpack: Colour | None
    bag: Colour | None
    umbrella: Colour | None
    accent: Points = field(repr=False, compare=False)


def cast_member(seed: int, number: int) -> Look:
    """The look of person `number` of the cast `seed`: always the same, different from most others'."""
    rng = np.random.default_rng((seed, number, 7))

    def pick(colours: tuple[Colour, ...]) -> Colour:
        chosen = np.array(colours[rng.integers(len(colours))]) + rng.normal(0, 12, 3)
        return tuple(float(value) for value in chosen.clip(8, 246))  # type: ignore[return-value]

    def cloth() -> Colour:
        return pick(_LOUD if rng.random() < 0.22 else _QUIET)

    def maybe(share: float) -> Colour | None:
        return cloth() if rng.random() < share else None

    legs = ("trousers", "trousers", "trousers", "shorts", "skirt", "dress")[rng.integers(6)]
    top = cloth()
    return Look(
        height=float(np.clip(rng.normal(1.71, 0.09), 1.45, 1.98)),
        build=float(np.clip(rng.normal(1.0, 0.12), 0.78, 1.4)),
        skin=pick(_SKIN),
        hair=pick(_HAIR),
        top=top,
        bottom=top if legs == "dress" else cloth(),
        shoes=cloth(),
        sleeves=float(rng.choice([0.0, 0.5, 1.0, 1.0])),
        legs=legs,
        stripe=maybe(0.25),
        coat=bool(rng.random() < 0.15),
        long_hair=bool(rng.random() < 0.35),
        hat=maybe(0.15),
        backpack=maybe(0.2),
        bag=maybe(0.2),
        umbrella=maybe(0.03),
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

    """

    x: float
    y: float
    heading: float
    phase: float = 0.0
    stride: float = 0.45
    crouch: float = 0.0


class _Body:
    """Collects parts in the person's own axes: forward, left, up."""

    def __init__(self, pose: Pose) -> None:
        cos, sin = np.cos(pose.heading), np.sin(pose.heading)
        self._axes = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
        self._origin = np.array([pose.x, pose.y, 0])
        self.parts: list[Part] = []

    def add(self, points: list[Points], radii: list[float], colour: Colour, lit: float = 0.18) -> None:
        world = np.array(points) @ self._axes + self._origin
        self.parts.append(Part(world, np.array(radii), colour, lit))


def body(look: Look, pose: Pose) -> list[Part]:
    """The parts of a person of `look` in `pose`."""
    h, build = look.height, look.build
    build_body = _Body(pose)
    drop = 0.24 * h * pose.crouch
    hip_z, shoulder_z = 0.51 * h - drop, 0.80 * h - drop
    lean = 0.03 * h + 0.16 * h * pose.crouch + 0.05 * h * max(0.0, pose.stride - 0.5)
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


def _arm(out: _Body, look: Look, pose: Pose, side: int, shoulder_w: float, shoulder_z: float, lean: float) -> None:
    h = look.height
    swing = -0.8 * pose.stride * np.sin(pose.phase + (0 if side > 0 else np.pi))
    bend = 0.3 + 0.9 * max(0.0, pose.stride - 0.45) + 0.9 * look.accent[3] * (side > 0)
    shoulder = np.array([lean, side * (shoulder_w + 0.012 * h), shoulder_z - 0.02 * h])
    elbow = _limb(shoulder, swing, 0.165 * h) + np.array([0, side * 0.02 * h, 0])
    hand = _limb(elbow, swing + bend, 0.155 * h)
    thick = 0.029 * h * look.build
    out.add([shoulder, elbow], [thick, thick * 0.85], look.top if look.sleeves else look.skin)
    out.add([elbow, hand], [thick * 0.8, thick * 0.65], look.top if look.sleeves == 1 else look.skin)
    out.add([hand], [0.026 * h], look.skin)
    if look.bag and side < 0:
        out.add([hand - np.array([0.05, 0, 0.05]), hand - np.array([-0.05, 0, 0.22])], [0.06, 0.08], look.bag)


def _head(out: _Body, look: Look, shoulder_z: float, lean: float) -> None:
    h = look.height
    neck = np.array([lean, 0, shoulder_z])
    centre = np.array([lean + 0.015 * h, 0, shoulder_z + 0.115 * h])
    out.add([neck, centre - np.array([0, 0, 0.05 * h])], [0.03 * h, 0.03 * h], look.skin)
    out.add([centre - np.array([0, 0, 0.025 * h]), centre], [0.043 * h, 0.05 * h], look.skin)
    crown = centre + np.array([-0.012 * h, 0, 0.022 * h])
    back = crown - np.array([0.015 * h, 0, (0.12 if look.long_hair else 0.04) * h])
    out.add([crown, back], [0.05 * h, 0.042 * h], look.hair, 0.1)
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
