"""CUHK-SYSU (Xiao et al. 2017, "Joint Detection and Identification Feature Learning for Person Search").

Whole scenes, `Image/SSM/s1.jpg`, and persons' boxes, `Train.mat` and `TestG100.mat` in annotation/test/train_test.
The crops are cut out once, into a folder with the layout of Market-1501. Cameras are unknown; each scene counts as
a camera, so that no person is found in the query's own picture.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from reid.datasets.market import FOLDERS
from reid.datasets.mat import read_mat
from reid.errors import ReidError
from reid.files import read_regular
from reid.sources import inside

_IMAGES = Path("Image", "SSM")
_TABLES = Path("annotation", "test", "train_test")
_BELOW = (".", "dataset", "cuhk_sysu", "CUHK-SYSU")  # places of the archive's folders
_QUALITY = 95


@dataclass(frozen=True)
class _Box:
    """A person in a scene.

    Attributes:
        part: folder of the crop.
        person: the authors' number.
        number: of the scene.
        scene: name of its image.
        xywh: int, pixels of the scene, origin at the top left.

    """

    part: str
    person: int
    number: int
    scene: str
    xywh: tuple[int, int, int, int]


def cut_out(folder: Path, out: Path) -> int:
    """Write the crops of the data set in `folder` to the new folder `out`; persons are numbered from 1.

    Args:
        folder: with Image/ and annotation/, or the archive's folder around them.
        out: gets bounding_box_train, query and bounding_box_test.

    Returns:
        The number of crops.

    Raises:
        ReidError: a file is missing or malformed, or a box is outside of its scene.

    """
    root = next((folder / name for name in _BELOW if (folder / name / _TABLES).is_dir()), None)
    if root is None:
        raise ReidError(
            f"{folder}: not CUHK-SYSU; expected {_IMAGES}/ and {_TABLES}/ in it; download it from "
            "https://github.com/ShuangLI59/person_search"
        )
    tables = root / _TABLES
    boxes = [*_boxes(tables / "Train.mat", _train_boxes), *_boxes(tables / "TestG100.mat", _test_boxes)]
    persons = {person: number for number, person in enumerate(sorted({box.person for box in boxes}), start=1)}
    by_scene: dict[str, list[_Box]] = defaultdict(list)
    for box in boxes:
        by_scene[box.scene].append(box)
    for part in FOLDERS:
        (out / part).mkdir(parents=True)
    for name, own in sorted(by_scene.items()):
        picture = _read(inside(root / _IMAGES, name, str(tables)))
        for index, box in enumerate(own):
            file = f"{persons[box.person]:05d}_c{box.number}s1_{box.number:06d}_{index:02d}.jpg"
            _write(out / box.part / file, _cut(picture, box))
    return len(boxes)


def _boxes(table: Path, read: Callable[[Any], Iterator[_Box]]) -> list[_Box]:
    if not table.is_file():
        raise ReidError(f"{table}: no such file")
    try:
        return list(read(read_mat(table, simplify_cells=True)[table.stem]))
    except Exception as error:  # read_mat raises nearly anything on a damaged file
        raise ReidError(f"{table}: not a list of persons: {' '.join(str(error).split())[:100]}") from None


def _train_boxes(persons: Any) -> Iterator[_Box]:
    for person in _several(persons):
        for scene in _several(person["scene"]):
            yield _box("bounding_box_train", person["idname"], scene)


def _test_boxes(tests: Any) -> Iterator[_Box]:
    """The queries, and the scenes among their 100 in which they are."""
    for test in _several(tests):
        query = test["Query"]
        yield _box("query", query["idname"], query)
        for scene in _several(test["Gallery"]):
            if np.size(scene["idlocate"]):
                yield _box("bounding_box_test", query["idname"], scene)


def _several(value: Any) -> list[Any]:
    """MATLAB stores a list of one as its element."""
    return [value] if isinstance(value, Mapping) else list(value)


def _box(part: str, person: str, scene: Mapping[str, Any]) -> _Box:
    x, y, width, height = (int(value) for value in np.ravel(scene["idlocate"]))
    return _Box(part, _number(person), _number(Path(scene["imname"]).stem), scene["imname"], (x, y, width, height))


def _number(name: str) -> int:
    """Of p12 or s12."""
    if not re.fullmatch(r"[ps]\d{1,9}", name, re.ASCII):
        raise ValueError(f"'{name[:40]}': expected p12 or s12")
    return int(name[1:])


def _cut(picture: NDArray[np.uint8], box: _Box) -> NDArray[np.uint8]:
    x, y, width, height = box.xywh
    crop = picture[max(0, y) : max(0, y + height), max(0, x) : max(0, x + width)]
    if not crop.size:
        raise ReidError(f"{box.scene}: the box {box.xywh} of p{box.person} is outside of the picture")
    return crop


def _read(path: Path) -> NDArray[np.uint8]:
    data = np.frombuffer(read_regular(path), np.uint8)
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    if picture is None:
        raise ReidError(f"{path}: not an image that can be decoded")
    return np.asarray(picture)


def _write(path: Path, picture: NDArray[np.uint8]) -> None:
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    path.write_bytes(data.tobytes())
