"""A scene at one moment, drawn with its truth."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.simulate.camera import Camera
from pipeline.simulate.effects import Look as CameraLook
from pipeline.simulate.effects import apply_look
from pipeline.simulate.ground import Ground
from pipeline.simulate.people import Look, Pose, body
from pipeline.simulate.shapes import Light, Part, draw_sprite, paste, shadow_mask


@dataclass(frozen=True, eq=False)
class Person:
    """Somebody in the scene: `number` is the identity, from 1."""

    number: int
    look: Look
    pose: Pose


@dataclass(frozen=True)
class TrueBox:
    """The truth about one person in one picture.

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


@dataclass(frozen=True, eq=False)
class Scene:
    """What stays: the ground, the light, and the things that stand on the ground."""

    ground: Ground
    light: Light
    things: Sequence[Sequence[Part]]
    look: CameraLook
    roughness: float

    def render(
        self, camera: Camera, people: Sequence[Person], rng: np.random.Generator
    ) -> tuple[NDArray[np.uint8], list[TrueBox]]:
        """The picture, uint8 (H, W, 3) RGB, and the truth about everyone of whom a pixel shows."""
        image = self.ground.seen_by(camera)
        bodies = {person.number: body(person.look, person.pose) for person in people}
        everything = [(0, parts) for parts in self.things] + list(bodies.items())
        self._shade(image, camera, [parts for _, parts in everything])
        distances = [
            np.linalg.norm(np.concatenate([part.points for part in parts]).mean(axis=0) - camera.position)
            for _, parts in everything
        ]
        owner = np.zeros(image.shape[:2], np.int32)
        drawn: dict[int, tuple[tuple[float, float, float, float], float]] = {}
        for place in np.argsort(distances, kind="stable")[::-1]:
            number, parts = everything[place]
            sprite = draw_sprite(parts, camera, self.light, rng, self.roughness)
            if sprite is not None:
                drawn[number] = (sprite.box, paste(image, owner, sprite, number))
        truth = _truth(owner, drawn, set(bodies))
        return apply_look(image, self.look, rng), truth

    def _shade(self, image: NDArray[np.uint8], camera: Camera, things: Sequence[Sequence[Part]]) -> None:
        if not self.light.shadow:
            return
        mask = np.zeros(image.shape[:2], np.uint8)
        for parts in things:
            shadow_mask(parts, camera, self.light, mask)
        if self.light.softness:
            mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), self.light.softness))
        lit = 255 - (mask * self.light.shadow).astype(np.uint8)
        cv2.multiply(image, cv2.merge([lit] * 3), image, scale=1 / 255)


def _truth(
    owner: NDArray[np.int32],
    drawn: dict[int, tuple[tuple[float, float, float, float], float]],
    people: set[int],
) -> list[TrueBox]:
    height, width = owner.shape
    visible = np.bincount(owner.ravel(), minlength=max(people, default=0) + 1)
    boxes = []
    for number in sorted(people & set(drawn)):
        (x1, y1, x2, y2), pixels = drawn[number]
        # Outlines are of pixel centres: half a pixel more on each side covers the pixels themselves.
        x1, y1, x2, y2 = max(x1, 0), max(y1, 0), min(x2 + 1, width), min(y2 + 1, height)
        if visible[number] and x2 > x1 and y2 > y1:
            boxes.append(TrueBox(number, x1, y1, x2, y2, min(1.0, visible[number] / max(pixels, 1.0))))
    return boxes


def draw_light(rng: np.random.Generator, softness: float) -> Light:
    """A random sun; a third of the days are overcast and without shadows."""
    angle, length = rng.uniform(0, 2 * np.pi), rng.uniform(0.15, 2.2)
    strength = 0.0 if rng.random() < 0.35 else float(rng.uniform(0.15, 0.65))
    return Light(length * np.array([np.cos(angle), np.sin(angle)]), strength, softness)
