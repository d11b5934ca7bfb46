"""A scene at one moment, rendered with its ground truth."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.simulate.camera import Camera
from pipeline.simulate.effects import Look as CameraLook
from pipeline.simulate.effects import apply_look
from pipeline.simulate.ground import Ground
from pipeline.simulate.people import Look, Pose, body
from pipeline.simulate.shapes import Bounds, Light, Part, shadow_mask
from pipeline.simulate.sprites import draw_person, draw_thing, paste


@dataclass(frozen=True, eq=False)
class Person:
    """Somebody in the scene: `number` is the identity, from 1."""

    number: int
    look: Look
    pose: Pose
    vehicle: Sequence[Part] = ()  # a bicycle under the person, where the person is


@dataclass(frozen=True)
class TrueBox:
    """The ground truth about one person in one picture.

    Attributes:
        number: identity.
        x1: left of the box around the whole silhouette, hidden parts included, clipped to the image; pixels.
        y1: top.
        x2: right.
        y2: bottom.
        visibility: visible pixels / pixels of the whole silhouette, those outside the image included.

    """

    number: int
    x1: float
    y1: float
    x2: float
    y2: float
    visibility: float


_Drawn = tuple[tuple[float, float, float, float], float]  # box of the silhouette, and its pixels


@dataclass(frozen=True, eq=False)
class Scene:
    """What stays: the ground, the light, and the things that stand on the ground."""

    ground: Ground
    light: Light
    things: Sequence[Sequence[Part]]
    look: CameraLook
    roughness: float
    sky: tuple[float, float, float] = (206.0, 212.0, 220.0)

    def render(
        self, camera: Camera, people: Sequence[Person], rng: np.random.Generator
    ) -> tuple[NDArray[np.uint8], list[TrueBox]]:
        """The picture, uint8 (H, W, 3) RGB, and the ground truth about everyone with a visible pixel."""
        image = self.ground.seen_by(camera)
        bodies = {person.number: body(person.look, person.pose) for person in people}
        things = self._in_sight(camera) + _vehicles(people)
        everything = [(0, parts) for parts in things] + list(bodies.items())
        shading = self._in_sight(camera, self._shadow_reach)
        self._shade(image, camera, [*shading, *_vehicles(people), *bodies.values()])
        paint_sky(image, camera, self.sky)
        distances = [
            np.linalg.norm(np.concatenate([part.points for part in parts]).mean(axis=0) - camera.position)
            for _, parts in everything
        ]
        owner = np.zeros(image.shape[:2], np.uint16)
        nearest = np.full(image.shape[:2], np.float32(np.inf))
        drawn: dict[int, _Drawn] = {}
        for place in np.argsort(distances, kind="stable")[::-1]:
            number, parts = everything[place]
            # Folds stay the same from frame to frame: they belong to the clothes.
            folds = np.random.default_rng((number, 13))
            sprite = (
                draw_person(parts, camera, self.light, folds, self.roughness)
                if number
                else draw_thing(parts, camera, self.light)
            )
            if sprite is not None:
                drawn[number] = (sprite.box, paste(image, owner, nearest, sprite, number))
        truth = _truth(owner, drawn, set(bodies))
        return apply_look(image, self.look, rng), truth

    @cached_property
    def _bounds(self) -> Bounds:
        return Bounds.of(self.things)

    def _in_sight(self, camera: Camera, more: float = 0.0) -> list[Sequence[Part]]:
        seen = self._bounds.in_sight(camera, more)
        return [parts for parts, shows in zip(self.things, seen, strict=True) if shows]

    @cached_property
    def _shadow_reach(self) -> float:
        """How far the longest shadow falls beside its thing, metres."""
        highest = max((part.points[:, 2].max() for parts in self.things for part in parts), default=0.0)
        return float(highest * np.linalg.norm(self.light.sun)) if self.light.shadow else 0.0

    def _shade(self, image: NDArray[np.uint8], camera: Camera, things: Sequence[Sequence[Part]]) -> None:
        """Darken the ground by cast shadows, and a little close under everything."""
        light = self.light
        if not light.shadow and not light.contact:
            return
        height, width = image.shape[:2]
        scale = 0.5 if width > 1000 and light.softness > 1 else 1.0
        small = (round(width * scale), round(height * scale))
        mask = np.zeros(small[::-1], np.uint8)
        for parts in things:
            if light.shadow:
                shadow_mask(parts, camera, light.sun, mask, scale, 255 * light.shadow)
        soft = max(light.softness * scale, 0.3)
        mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), soft))
        if light.contact:
            close = np.zeros_like(mask)
            for parts in things:
                low = [part for part in parts if part.points[:, 2].min() - part.radii[0] < _LOW]
                if low:
                    shadow_mask(low, camera, _OVERHEAD, close, scale, 255 * light.contact)
            cv2.max(mask, cv2.GaussianBlur(close, (0, 0), 1.5 * soft), mask)
        lit = cv2.resize(255 - mask, (width, height), interpolation=cv2.INTER_LINEAR)
        cv2.multiply(image, cv2.merge([lit] * 3), image, scale=1 / 255)


_OVERHEAD = np.zeros(2)
_LOW = 0.6  # metres; what hangs higher casts no shadow close under itself


def _vehicles(people: Sequence[Person]) -> list[Sequence[Part]]:
    """What people ride on, under them."""
    return [person.vehicle for person in people if person.vehicle]


def paint_sky(image: NDArray[np.uint8], camera: Camera, colour: tuple[float, float, float]) -> None:
    """Paint what is above the horizon, and let the ground fade into it."""
    horizon = (camera.height - 1) / 2 - np.tan(camera.pitch) * camera.focal
    reach = 0.06 * camera.height
    slope = np.tan(camera.roll) * camera.width / 2
    lowest = horizon + abs(slope) + reach
    if lowest < 0:
        return
    rows = min(int(lowest) + 1, camera.height)
    across = np.linspace(-slope, slope, camera.width, dtype=np.float32)[None]
    below = np.arange(rows, dtype=np.float32)[:, None] - np.float32(horizon) + across
    share = (1 - below / np.float32(reach)).clip(0, 1)[..., None]
    paint = np.array(colour, np.float32) * (1 - 0.0006 * np.minimum(below, 0)[..., None]).clip(0.8, 1.1)
    top = image[:rows]
    top[:] = (top + share * (paint.clip(0, 255) - top)).astype(np.uint8)


def _truth(owner: NDArray[np.uint16], drawn: dict[int, _Drawn], people: set[int]) -> list[TrueBox]:
    height, width = owner.shape
    boxes = []
    for number in sorted(people & set(drawn)):
        (x1, y1, x2, y2), pixels = drawn[number]
        # Outlines count from the centre of the first pixel, boxes from its edge.
        x1, y1, x2, y2 = max(x1 + 0.5, 0), max(y1 + 0.5, 0), min(x2 + 0.5, width), min(y2 + 0.5, height)
        if x2 <= x1 or y2 <= y1:
            continue
        around = owner[max(0, int(y1) - 2) : int(y2) + 3, max(0, int(x1) - 2) : int(x2) + 3]
        visible = np.count_nonzero(around == number)
        if visible:
            boxes.append(TrueBox(number, x1, y1, x2, y2, min(1.0, visible / max(pixels, 1.0))))
    return boxes


def draw_light(rng: np.random.Generator, softness: float) -> Light:
    """A random sun; a third of the days are overcast and without shadows."""
    angle, length = rng.uniform(0, 2 * np.pi), rng.uniform(0.15, 2.2)
    strength = 0.0 if rng.random() < 0.35 else float(rng.uniform(0.15, 0.65))
    sun = length * np.array([np.cos(angle), np.sin(angle)])
    return Light(sun, strength, softness, contact=float(rng.uniform(0.1, 0.45)))
