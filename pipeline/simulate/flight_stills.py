"""Training pictures out of short simulated flights: seen through a real video codec, at full size."""

import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.errors import PipelineError
from pipeline.simulate.flight import simulate_flight
from pipeline.simulate.pictures import Picture, write_pictures
from pipeline.simulate.scene import TrueBox
from pipeline.video import open_video
from pipeline.workspace.jpeg import write_jpeg

PER_FLIGHT = 4  # a second apart: people have moved on, the ground is drawn once
_ALTITUDES, _PEOPLE = (12.0, 38.0), (8, 25)
_QUALITY = 95  # the codec has done its harm already


def render_flight_stills(
    folder: Path, count: int, *, seed: int, size: tuple[int, int] = (1920, 1080), workers: int = 1
) -> None:
    """Write `folder/images/*.jpg` and `folder/annotations.json` (COCO), as `render_stills` does.

    Four pictures come from each flight, at 12 to 38 m over 8 to 25 people. Flight n depends on (seed, n) alone.

    Args:
        folder: where to write.
        count: number of pictures, rounded up to whole flights.
        seed: of everything.
        size: width and height in pixels.
        workers: processes.

    Raises:
        PipelineError: an argument is out of range or the folder is not writable.

    """
    if count < 1 or workers < 1:
        raise PipelineError(f"stills: count {count} and workers {workers} must be positive")
    flights = -(-count // PER_FLIGHT)
    write_pictures(folder, partial(_write_flight, folder, seed, size), flights, size=size, workers=workers)


def _write_flight(folder: Path, seed: int, size: tuple[int, int], number: int) -> list[Picture]:
    rng = np.random.default_rng((seed, number))
    with tempfile.TemporaryDirectory() as scratch:
        flight = simulate_flight(
            Path(scratch) / "flight.mp4",
            people=int(rng.integers(_PEOPLE[0], _PEOPLE[1] + 1)),
            seconds=PER_FLIGHT,
            fps=1,
            seed=int(rng.integers(2**31)),
            size=size,
            altitude=float(rng.uniform(*_ALTITUDES)),
        )
        truth = _truth(flight.truth)
        altitudes = pd.read_csv(flight.camera)["altitude_m"].tolist()
        pictures: list[Picture] = []
        for frame in open_video(flight.video).read_all():
            name = f"{number:06d}_{frame.index}.jpg"
            write_jpeg(folder / "images" / name, frame.image, _QUALITY)
            pictures.append(Picture(name, truth.get(frame.index, []), altitudes[frame.index]))
        return pictures


def _truth(path: Path) -> dict[int, list[TrueBox]]:
    boxes: dict[int, list[TrueBox]] = {}
    for line in path.read_text("utf-8").splitlines():
        frame, identity, left, top, width, height, _, _, visibility = (float(value) for value in line.split(","))
        box = TrueBox(int(identity), left, top, left + width, top + height, visibility)
        boxes.setdefault(int(frame) - 1, []).append(box)
    return boxes
