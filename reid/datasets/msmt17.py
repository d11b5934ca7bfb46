"""MSMT17 (Wei et al. 2018, "Person Transfer GAN to Bridge Domain Gap for Person Re-Identification").

Lists of images below train/ and test/ (version 1) or mask_train_v2/ and mask_test_v2/ (version 2, faces blurred), a
line as `0000/0000_000_01_0303morning_0008_0.jpg 0`: path and person. In the name: person, its image, camera, date
and time of day, frame, box. Training and test count their persons from 0 each.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from reid.datasets.parts import Parts
from reid.errors import ReidError
from reid.labels import Label
from reid.sources import inside, listed

LISTS = ("list_train.txt", "list_val.txt", "list_query.txt", "list_gallery.txt")
_FOLDERS = (("train", "test"), ("mask_train_v2", "mask_test_v2"))
_NAME = re.compile(r"\d+_\d+_(?P<camera>\d{1,4})_(?P<session>\d+[a-z]+)_", re.ASCII)


def read_msmt17(folder: Path) -> Parts:
    """The data set in `folder`; its validation list is part of the training set, as in the paper's counts.

    Raises:
        ReidError: a list or an image is missing, or a line is not as above; names it.

    """
    found = [pair for pair in _FOLDERS if all((folder / name).is_dir() for name in pair)]
    if not found:
        wanted = " or ".join(" and ".join(pair) for pair in _FOLDERS)
        raise ReidError(f"{folder}: no images; expected folders {wanted}")
    trained, tested = (folder / name for name in found[0])
    train_list, validation_list, query_list, gallery_list = (folder / name for name in LISTS)
    train = [*_labels(train_list, trained, 1), *_labels(validation_list, trained, 1)]
    first = max((label.identity for label in train), default=0) + 1
    return Parts(train, list(_labels(query_list, tested, first)), list(_labels(gallery_list, tested, first)))


def _labels(table: Path, images: Path, first: int) -> Iterator[Label]:
    for number, line in listed(table):
        where = f"{table} line {number}"
        path, _, person = line.rpartition(" ")
        match = _NAME.match(path.rpartition("/")[2])
        if match is None or not re.fullmatch(r"\d{1,9}", person, re.ASCII):
            raise ReidError(
                f"{where}: '{line[:80]}': expected a path and a person, like "
                "'0000/0000_000_01_0303morning_0008_0.jpg 0'"
            )
        identity = int(person) + first
        flight = f"c{match['camera']} {match['session']}"
        yield Label(identity, int(match["camera"]), flight, str(identity), inside(images, path, where))
