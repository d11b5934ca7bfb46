"""CUHK03 (Li et al. 2014, "DeepReID"), its boxes drawn by hand (labeled) or found by a detector (detected).

Images are read from `images_labeled` and `images_detected`, as `cuhk03_mat` or torchreid writes them:
`1_002_2_07.png` is pair 1 of cameras, person 2 of it, view 2, image 7. The training set is given by
`cuhk03_new_protocol_config_….mat` (767 and 700 persons; Zhong et al. 2017, "Re-ranking Person Re-identification
with k-reciprocal Encoding") or by `splits_classic_….json` (1,367 and 100 persons, twenty times). CUHK03-NP has the
former split as folders with the layout of Market-1501.
"""

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from reid.datasets.market import FOLDERS, read_market
from reid.datasets.mat import read_mat
from reid.datasets.parts import Parts
from reid.errors import ReidError
from reid.files import read_regular
from reid.labels import Label
from reid.sources import inside

Boxes = Literal["labeled", "detected"]
_NAME = re.compile(r"(?P<pair>\d)_(?P<person>\d{3})_(?P<view>[12])_\d\d\.png", re.ASCII)


def read_new_protocol(folder: Path, boxes: Boxes) -> Parts:
    """The new protocol: half of the persons for training, the others as in Market-1501.

    Raises:
        ReidError: CUHK03-NP's folders, or images and configuration, are missing or do not match.

    """
    if all((folder / boxes / part).is_dir() for part in FOLDERS):
        return read_market(folder / boxes)
    table = folder / f"cuhk03_new_protocol_config_{boxes}.mat"
    names, persons, parts = _configuration(table, boxes)
    images = folder / f"images_{boxes}"
    return Parts(*([_label(images, names[row], int(persons[row]), str(table)) for row in rows] for rows in parts))


def read_single_shot(folder: Path, boxes: Boxes) -> Parts:
    """The first of the twenty classic splits; queries are of one camera, the gallery of the other.

    Raises:
        ReidError: images or splits are missing, or do not match.

    """
    table = folder / f"splits_classic_{boxes}.json"
    images = folder / f"images_{boxes}"
    trained, tested = (
        [_label(images, name, None, str(table)) for name in names] for names in _classic_split(table)
    )
    query = [label for label in tested if label.camera == 1]
    return Parts(trained, query, [label for label in tested if label.camera != 1])


def _label(images: Path, name: str, person: int | None, where: str) -> Label:
    """The label of an image; without `person` it follows from the name: no person is in two pairs of cameras."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise ReidError(f"{where}: '{name[:80]}': expected a name like 1_002_2_07.png")
    if person is None:
        person = 1000 * int(match["pair"]) + int(match["person"])
    return Label(person, int(match["view"]), "", "", inside(images, name, where))


def _configuration(table: Path, boxes: Boxes) -> tuple[list[str], Sequence[int], list[list[int]]]:
    """File names, their persons, and the rows of the three parts, from 0."""
    if not table.is_file():
        raise ReidError(
            f"{table}: no such file, nor CUHK03-NP's folders {', '.join(FOLDERS)} in {table.parent / boxes}; "
            "download it from https://github.com/zhunzhong07/person-re-ranking"
        )
    fields = ("train_idx", "query_idx", "gallery_idx")
    try:
        content = read_mat(table)
        names = [str(cell[0]) for cell in content["filelist"].ravel()]
        persons = content["labels"].ravel().astype(np.int64).tolist()
        parts = [(content[field].ravel().astype(np.int64) - 1).tolist() for field in fields]
    except Exception as error:  # read_mat raises nearly anything on a damaged file
        raise ReidError(f"{table}: not a configuration of CUHK03: {' '.join(str(error).split())[:100]}") from None
    count = len(names)
    if len(persons) != count or any(not 0 <= row < count for part in parts for row in part):
        raise ReidError(f"{table}: its labels and {', '.join(fields)} do not match its {count} files")
    return names, persons, parts


def _classic_split(table: Path) -> list[list[str]]:
    """File names of the first split's training and test images; their folders are of another machine."""
    try:
        first = json.loads(read_regular(table))[0]
        return [_file_names(first[part]) for part in ("train", "query")]
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ReidError(f"{table}: not the splits of CUHK03: {' '.join(str(error).split())[:100]}") from None


def _file_names(rows: Iterable[Any]) -> list[str]:
    return [re.split(r"[/\\]", row[0])[-1] for row in rows]
