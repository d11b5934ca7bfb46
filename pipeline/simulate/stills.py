"""Training pictures: each of a scene, a camera and people of its own, with COCO annotations."""

from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import PipelineError
from pipeline.simulate.camera import Camera, Points
from pipeline.simulate.effects import draw_look
from pipeline.simulate.ground import make_ground
from pipeline.simulate.people import Pose, cast_member, random_arms, riding
from pipeline.simulate.pictures import Picture, write_pictures
from pipeline.simulate.scene import Person, Scene, TrueBox, draw_light
from pipeline.simulate.scenery import Thing, cycle, make_camp, make_houses, make_things
from pipeline.simulate.shapes import turn_of
from pipeline.simulate.textures import vary
from pipeline.workspace.jpeg import write_jpeg

_PERSON_METRES = 1.7


def render_stills(
    folder: Path, count: int, *, seed: int, size: tuple[int, int] = (960, 540), workers: int = 1
) -> None:
    """Write `folder/images/*.jpg` and `folder/annotations.json` (COCO, category 1 "person").

    Persons of whom less than a quarter shows, or less than 8 px high, have `iscrowd` 1: they are there, but not
    evaluated. Picture n depends on (seed, n) alone.

    Args:
        folder: where to write.
        count: number of pictures.
        seed: of everything.
        size: width and height in pixels.
        workers: processes.

    Raises:
        PipelineError: an argument is out of range or the folder is not writable.

    """
    if count < 1 or min(size) < 32 or workers < 1:
        raise PipelineError(
            f"stills: count {count}, size {size} and workers {workers} must be positive (size from 32)"
        )
    write_pictures(folder, partial(_write_still, folder, seed, size), count, size=size, workers=workers)


def _write_still(folder: Path, seed: int, size: tuple[int, int], number: int) -> list[Picture]:
    cv2.setNumThreads(1)
    rng = np.random.default_rng((seed, number))
    image, truth, altitude = render_still(rng, size)
    name = f"{number:06d}.jpg"
    write_jpeg(folder / "images" / name, image, int(rng.integers(50, 96)))
    return [Picture(name, truth, altitude)]


def render_still(rng: np.random.Generator, size: tuple[int, int]) -> tuple[NDArray[np.uint8], list[TrueBox], float]:
    """One picture, uint8 (H, W, 3) RGB, the ground truth about the people in it, and the camera's altitude, m."""
    person_pixels = float(np.exp(rng.uniform(np.log(11), np.log(0.26 * size[1]))))
    camera = _draw_camera(rng, size, person_pixels)
    distance = float(np.linalg.norm(camera.position))
    ground = make_ground(rng, size=1024, side=_side(camera), fine=distance / camera.focal)
    altitude = float(camera.position[2])
    # From high up one sees more, and all of it small.
    most = int(np.clip(0.35 * distance, 8, 30))
    things = make_things(rng, ground, _places(rng, camera, int(rng.integers(0, most))), below=0.55 * altitude)
    things += _houses(rng, camera)
    camp = rng.spawn(1)[0]  # draws of its own: all else in the picture of a seed stays as it was without
    things += make_camp(camp, ground, _places(camp, camera, int(camp.integers(0, 4))), below=0.55 * altitude)
    scene = Scene(
        ground,
        draw_light(rng, softness=float(rng.uniform(0.3, 2.5))),
        things,
        draw_look(rng),
        roughness=float(rng.uniform(0, 0.16)),
        sky=vary(rng, (206, 212, 220), 8, 0.12),
    )
    image, truth = scene.render(camera, _draw_people(rng, camera), rng)
    return _transmitted(rng, image), truth, altitude


def _houses(rng: np.random.Generator, camera: Camera) -> list[Thing]:
    """Rows of houses beyond and beside what the camera looks at; none if it flies low."""
    altitude, distance = float(camera.position[2]), float(np.linalg.norm(camera.position))
    houses: list[Thing] = []
    if altitude < 6:
        return houses
    half = distance * camera.width / 2 / camera.focal  # metres from the middle to the side of the picture
    chances = (0.6 if camera.pitch < 0.6 else 0.3, 0.12, 0.12)
    for chance, turn, near in zip(chances, (0.0, np.pi / 2, -np.pi / 2), (0.3 * distance, half, half), strict=True):
        if rng.random() < chance:
            away = np.array([np.cos(camera.yaw + turn), np.sin(camera.yaw + turn)])
            houses += make_houses(rng, away, near * rng.uniform(0.6, 1.6), 0.9 * altitude)
    return houses


def _transmitted(rng: np.random.Generator, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What is left of a picture after a video codec or a smaller sensor; most pictures pass unharmed."""
    height, width = image.shape[:2]
    if rng.random() < 0.2:
        share = rng.uniform(0.5, 0.9)
        small = cv2.resize(image, (round(width * share), round(height * share)), interpolation=cv2.INTER_AREA)
        image = np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC))
    if rng.random() < 0.3:
        settings = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(18, 60))]
        packed = cv2.imencode(".jpg", image[..., ::-1], settings)[1]
        image = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR))[..., ::-1].copy()
        if rng.random() < 0.5:  # codecs smooth their blocks
            image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 0.8))
    return np.asarray(image)


def _draw_camera(rng: np.random.Generator, size: tuple[int, int], person_pixels: float) -> Camera:
    """A camera so high that a person in the middle of its picture is `person_pixels` tall."""
    style = rng.random()
    if style < 0.12:  # nearly level: the horizon comes into the picture
        pitch = np.radians(rng.uniform(14, 28))
    else:
        pitch = np.radians(rng.uniform(28, 89) if style < 0.6 else rng.uniform(30, 58))
    focal = size[0] / 2 / np.tan(np.radians(rng.uniform(45, 84)) / 2)
    apparent = _PERSON_METRES * np.cos(pitch) + 0.5 * np.sin(pitch)  # head and shoulders remain from above
    distance = max(4.0 / np.sin(pitch), focal * apparent / person_pixels)
    yaw = rng.uniform(0, 2 * np.pi)
    toward = np.array([np.cos(pitch) * np.cos(yaw), np.cos(pitch) * np.sin(yaw), -np.sin(pitch)])
    return Camera(
        -distance * toward,
        yaw=yaw,
        pitch=pitch,
        roll=np.radians(rng.normal(0, 3)),
        focal=focal,
        width=size[0],
        height=size[1],
    )


def _side(camera: Camera) -> float:
    """Metres a side of a square around the origin that contains what `camera` sees, but for what is very far."""
    top = max(0.0, _horizon(camera) + 0.12 * camera.height)
    corners = [[0, top], [camera.width, top], [0, camera.height], [camera.width, camera.height]]
    seen = np.abs(camera.on_ground(np.array(corners, float))).max()
    return float(np.clip(2.05 * seen, 8, 9 * np.linalg.norm(camera.position)))


def _horizon(camera: Camera) -> float:
    return camera.height / 2 - float(np.tan(camera.pitch)) * camera.focal


def _places(rng: np.random.Generator, camera: Camera, count: int) -> Points:
    """`count` ground points (n, 2) spread over the picture, less of them far away."""
    top = max(-0.05 * camera.height, _horizon(camera) + 0.1 * camera.height)
    pixels = np.stack([rng.uniform(0, camera.width, count), rng.uniform(top, camera.height * 1.05, count)], axis=1)
    return camera.on_ground(pixels)


def _draw_people(rng: np.random.Generator, camera: Camera) -> list[Person]:
    count = 0 if rng.random() < 0.08 else int(np.exp(rng.uniform(0, np.log(60))))
    places = _places(rng, camera, count)
    spread = rng.uniform(0.5, 1.2)
    for follower in range(1, count):  # people walk in groups: some stand close to somebody before them
        if rng.random() < 0.4:
            places[follower] = places[rng.integers(follower)] + rng.normal(0, spread, 2)
    riders = float(rng.choice([0, 0.05, 0.5]))
    return [_draw_person(rng, number, x, y, riders) for number, (x, y) in enumerate(places, start=1)]


def _draw_person(rng: np.random.Generator, number: int, x: float, y: float, riders: float) -> Person:
    look = cast_member(int(rng.integers(2**31)), number)
    heading, phase = rng.uniform(0, 2 * np.pi), rng.uniform(0, 2 * np.pi)
    style = rng.random()
    if rng.random() < riders:
        pose = riding(look, Pose(x, y, heading, phase), float(rng.uniform(0, 0.1)))
        return Person(number, look, pose, [p.moved(turn_of(heading), np.array([x, y, 0.0])) for p in cycle(rng)])
    if style < 0.07:
        pose = Pose(x, y, heading, 0.0, 0.05, float(rng.uniform(0.4, 1)), random_arms(rng, standing=True))
    elif style < 0.33:
        lean = float(rng.choice([0, 0, rng.uniform(0, 0.2)]))
        pose = Pose(x, y, heading, phase, 0.06, 0.0, random_arms(rng, standing=True), lean=lean)
    else:
        stride = float(rng.uniform(0.15, 0.48)) if style < 0.95 else 0.75
        pose = Pose(x, y, heading, phase, stride, 0.0, random_arms(rng, standing=False))
    return Person(number, look, pose)
