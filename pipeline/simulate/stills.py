"""Training pictures: each of a scene, a camera and people of its own, with COCO annotations."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import PipelineError
from pipeline.images import write_jpeg
from pipeline.simulate.camera import Camera, Points
from pipeline.simulate.effects import draw_look
from pipeline.simulate.ground import make_ground
from pipeline.simulate.people import Pose, cast_member
from pipeline.simulate.scene import Person, Scene, TrueBox, draw_light
from pipeline.simulate.scenery import make_thing
from pipeline.workspace import write_json

_MIN_VISIBLE, _MIN_HEIGHT = 0.25, 8.0  # below: annotated as a region to ignore
_PERSON_METRES = 1.7


def render_stills(
    folder: Path, count: int, *, seed: int, size: tuple[int, int] = (960, 540), workers: int = 1
) -> None:
    """Write `folder/images/*.jpg` and `folder/annotations.json` (COCO, category 1 "person").

    Persons of whom less than a quarter shows, or lower than 8 px, have `iscrowd` 1: they are there, but not
    to be asked for. Picture n depends on (seed, n) alone.

    Args:
        folder: where to write.
        count: number of pictures.
        seed: of everything.
        size: width and height in pixels.
        workers: processes.

    Raises:
        PipelineError: an argument is out of range.

    """
    if count < 1 or min(size) < 32 or workers < 1:
        raise PipelineError(
            f"stills: count {count}, size {size} and workers {workers} must be positive (size from 32)"
        )
    (folder / "images").mkdir(parents=True, exist_ok=True)
    render = partial(_write_still, folder, seed, size)
    if workers == 1:
        results = [render(number) for number in range(count)]
    else:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            results = list(pool.map(render, range(count), chunksize=16))
    write_json(folder / "annotations.json", _coco(results, size))


def _write_still(folder: Path, seed: int, size: tuple[int, int], number: int) -> tuple[str, list[TrueBox]]:
    cv2.setNumThreads(1)
    rng = np.random.default_rng((seed, number))
    image, truth = render_still(rng, size)
    name = f"{number:06d}.jpg"
    write_jpeg(folder / "images" / name, image, int(rng.integers(45, 96)))
    return name, truth


def render_still(rng: np.random.Generator, size: tuple[int, int]) -> tuple[NDArray[np.uint8], list[TrueBox]]:
    """One picture, uint8 (H, W, 3) RGB, and the truth about the people in it."""
    person_pixels = float(np.exp(rng.uniform(np.log(11), np.log(0.26 * size[1]))))
    camera = _draw_camera(rng, size, person_pixels)
    seen = np.linalg.norm(camera.on_ground(np.array([[size[0] / 2, size[1] / 2], [size[0], size[1]]])), axis=1)
    side = float(np.clip(seen.max() * 3, 12, 160))
    ground = make_ground(rng, size=1024, side=side)
    scene = Scene(
        ground,
        draw_light(rng, softness=float(rng.uniform(0.3, 2.5))),
        [
            make_thing(rng, x, y, below=0.5 * float(camera.position[2]))
            for x, y in _places(rng, camera, int(rng.integers(0, 14)))
        ],
        draw_look(rng),
        roughness=float(rng.uniform(0, 0.12)),
    )
    return scene.render(camera, _draw_people(rng, camera), rng)


def _draw_camera(rng: np.random.Generator, size: tuple[int, int], person_pixels: float) -> Camera:
    """A camera so high that a person in the middle of its picture is `person_pixels` tall."""
    pitch = np.radians(rng.uniform(28, 88) if rng.random() < 0.75 else rng.uniform(35, 60))
    focal = size[0] / 2 / np.tan(np.radians(rng.uniform(45, 84)) / 2)
    apparent = _PERSON_METRES * np.cos(pitch) + 0.5 * np.sin(pitch)  # head and shoulders remain from above
    distance = max(4.0, focal * apparent / person_pixels)
    return Camera(
        np.array([0.0, 0.0, distance * np.sin(pitch)]),
        yaw=rng.uniform(0, 2 * np.pi),
        pitch=pitch,
        roll=np.radians(rng.normal(0, 3)),
        focal=focal,
        width=size[0],
        height=size[1],
    )


def _places(rng: np.random.Generator, camera: Camera, count: int) -> Points:
    """`count` ground points (n, 2) spread over the picture, less of them far away."""
    low = -0.05 * camera.height
    horizon = camera.height / 2 - np.tan(camera.pitch) * camera.focal + 0.06 * camera.height
    top = max(low, horizon)
    pixels = np.stack([rng.uniform(0, camera.width, count), rng.uniform(top, camera.height * 1.05, count)], axis=1)
    return camera.on_ground(pixels)


def _draw_people(rng: np.random.Generator, camera: Camera) -> list[Person]:
    count = 0 if rng.random() < 0.08 else int(np.exp(rng.uniform(0, np.log(40))))
    places = _places(rng, camera, count)
    for follower in range(1, count):  # people walk in groups: some stand close to somebody before them
        if rng.random() < 0.4:
            places[follower] = places[rng.integers(follower)] + rng.normal(0, 0.7, 2)
    people = []
    for number, (x, y) in enumerate(places, start=1):
        style = rng.random()
        pose = Pose(
            x,
            y,
            heading=rng.uniform(0, 2 * np.pi),
            phase=rng.uniform(0, 2 * np.pi),
            stride=0.05 if style < 0.25 else float(rng.uniform(0.3, 0.55)) if style < 0.92 else 0.8,
            crouch=float(rng.uniform(0.4, 1)) if rng.random() < 0.06 else 0.0,
        )
        people.append(Person(number, cast_member(int(rng.integers(2**31)), number), pose))
    return people


def _coco(results: Sequence[tuple[str, list[TrueBox]]], size: tuple[int, int]) -> dict[str, Any]:
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, (name, truth) in enumerate(results, start=1):
        images.append({"id": number, "file_name": name, "width": size[0], "height": size[1]})
        for box in truth:
            width, height = box.x2 - box.x1, box.y2 - box.y1
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": 1,
                    "bbox": [round(value, 2) for value in (box.x1, box.y1, width, height)],
                    "area": round(width * height, 2),
                    "iscrowd": int(box.visibility < _MIN_VISIBLE or height < _MIN_HEIGHT),
                    "visibility": round(box.visibility, 3),
                }
            )
    return {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "person"}],
        "info": {"description": "simulated drone pictures, made by uavpipe simulate-stills"},
    }
