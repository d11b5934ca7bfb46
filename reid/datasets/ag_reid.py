"""AG-ReID (Nguyen et al. 2023, "Aerial-Ground Person Re-ID"): a drone's camera against one on the ground.

`P0006T02140A0C0F1831.jpg` is person 6 on February 14th in the morning (0; afternoon: 1), the drone low (A0; 1:
medium, 2: high), seen by camera 0, the drone's, or 3, on the ground; frame 1831. Persons count from 0.
"""

import re
from pathlib import Path

from reid.datasets.parts import Parts
from reid.errors import ReidError
from reid.labels import Label
from reid.sources import image_files

_NAME = re.compile(r"P(?P<person>\d{1,9})(?P<flight>T\d+A\dC(?P<camera>\d))F\d+\.\w+", re.ASCII)
AERIAL_TO_GROUND = ("bounding_box_train", "query_all_c0", "bounding_box_test_all_c3")
GROUND_TO_AERIAL = ("bounding_box_train", "query_all_c3", "bounding_box_test_all_c0")


def read_aerial_to_ground(folder: Path) -> Parts:
    """Queries from the air, gallery from the ground.

    Raises:
        ReidError: a folder has no images, or a file has another name.

    """
    return Parts(*(_labels(folder / name) for name in AERIAL_TO_GROUND))


def read_ground_to_aerial(folder: Path) -> Parts:
    """Queries from the ground, gallery from the air.

    Raises:
        ReidError: a folder has no images, or a file has another name.

    """
    return Parts(*(_labels(folder / name) for name in GROUND_TO_AERIAL))


def _labels(folder: Path) -> list[Label]:
    return [_label(path) for path in image_files(folder)]


def _label(path: Path) -> Label:
    match = _NAME.fullmatch(path.name)
    if match is None:
        raise ReidError(f"{path}: expected a name like P0006T02140A0C0F1831.jpg")
    person = int(match["person"]) + 1
    return Label(person, int(match["camera"]), match["flight"], str(person), path)
