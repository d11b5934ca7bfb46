"""Pictures with their ground truth as a COCO data set, made by several processes."""

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from pipeline.simulate.output import make_folder
from pipeline.simulate.scene import TrueBox
from pipeline.workspace.atomic import write_json

_MIN_VISIBLE, _MIN_HEIGHT = 0.25, 8.0  # below: annotated as a region to ignore


@dataclass(frozen=True)
class Picture:
    """A picture and its ground truth.

    Attributes:
        name: of the file in images/.
        truth: who is on it.
        altitude: of the camera, metres above the ground.

    """

    name: str
    truth: list[TrueBox]
    altitude: float


def write_pictures(
    folder: Path, render: Callable[[int], list[Picture]], jobs: int, *, size: tuple[int, int], workers: int
) -> None:
    """Run `render` for 0 to `jobs` - 1, which writes `folder/images/*.jpg`, then write `folder/annotations.json`.

    Args:
        folder: where to write.
        render: makes the pictures of one job; must go through pickle.
        jobs: how many.
        size: width and height of the pictures, in pixels.
        workers: processes.

    Raises:
        PipelineError: the folder cannot be written.

    """
    make_folder(folder / "images", "folder")
    if workers == 1:
        results = [render(number) for number in range(jobs)]
    else:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            results = list(pool.map(render, range(jobs), chunksize=max(1, min(16, jobs // workers))))
    write_json(folder / "annotations.json", _coco([picture for pictures in results for picture in pictures], size))


def _coco(pictures: Sequence[Picture], size: tuple[int, int]) -> dict[str, Any]:
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, picture in enumerate(pictures, start=1):
        sides = {"width": size[0], "height": size[1], "altitude_m": round(picture.altitude, 1)}
        images.append({"id": number, "file_name": picture.name, **sides})
        for box in picture.truth:
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
