"""PRAI-1581 (Zhang et al. 2020, "Person Re-identification in Aerial Imagery"): two drones, 20 to 60 m high.

`images/00000003_0002_00000007.jpg` is person 3, camera 2, image 7; persons count from 0. The authors' partition
into training and test is a pickle, which could run code and is not read: ours has as many persons, but others.
"""

import re
from pathlib import Path

from reid.datasets.parts import Parts
from reid.datasets.split import split
from reid.errors import ReidError
from reid.labels import Label
from reid.sources import image_files

_NAME = re.compile(r"(?P<person>\d{1,9})_(?P<camera>\d{1,4})_\d+\.\w+", re.ASCII)
_TRAIN_SHARE = 782 / 1581  # persons, as in the paper


def read_prai1581(folder: Path) -> Parts:
    """The data set in `folder`, split by us with seed 0.

    Raises:
        ReidError: no images, or a file has another name.

    """
    return split([_label(path) for path in image_files(folder / "images")], _TRAIN_SHARE)


def _label(path: Path) -> Label:
    match = _NAME.fullmatch(path.name)
    if match is None:
        raise ReidError(f"{path}: expected a name like 00000003_0002_00000007.jpg")
    return Label(int(match["person"]) + 1, int(match["camera"]), "", "", path)
