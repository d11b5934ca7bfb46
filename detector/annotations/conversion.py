"""Conversion of annotations to COCO's JSON: the parts that the readers of all formats share."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from detector.annotations.account import Account
from detector.errors import DetectorError
from detector.files import atomic_file, read_regular

Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class ConvertedImage:
    """One image and its annotations.

    Attributes:
        file_name: relative to the root of the data set, with forward slashes.
        size: width and height in pixels.
        clip: the video of the image; images of one clip resemble each other.
        annotations: fields of COCO's annotations: `category_id`, `bbox` (left, top, width, height in pixels),
            `iscrowd`, and the format's own.

    """

    file_name: str
    size: tuple[int, int]
    clip: str
    annotations: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Conversion:
    """A data set that was read.

    Attributes:
        images: sorted by file name.
        categories: their names, in the order of their ids, from 1.
        account: the rows that were read, used and left out.

    """

    images: Sequence[ConvertedImage]
    categories: Sequence[str]
    account: Account


def write_coco(path: Path, images: Sequence[ConvertedImage], categories: Sequence[str]) -> None:
    """Write `images` to `path` as COCO's JSON, atomically; ids count from 1.

    Raises:
        DetectorError: `path` cannot be written.

    """
    annotations: list[dict[str, Any]] = []
    for image_id, image in enumerate(images, start=1):
        for row in image.annotations:
            area = row["bbox"][2] * row["bbox"][3]
            annotations.append({"id": len(annotations) + 1, "image_id": image_id, **row, "area": area})
    content = {
        "images": [
            {
                "id": image_id,
                "file_name": image.file_name,
                "width": image.size[0],
                "height": image.size[1],
                "clip": image.clip,
            }
            for image_id, image in enumerate(images, start=1)
        ],
        "annotations": annotations,
        "categories": [{"id": number, "name": name} for number, name in enumerate(categories, start=1)],
    }
    try:
        with atomic_file(path) as temporary:
            temporary.write_text(json.dumps(content, separators=(",", ":")) + "\n", "utf-8")
    except OSError as error:
        raise DetectorError(f"{path}: cannot be written: {error.strerror}") from None


def hold_out(
    images: Sequence[ConvertedImage], share: float, seed: int
) -> tuple[list[ConvertedImage], list[ConvertedImage]]:
    """Divide `images` into training images and about `share` of them for validation; no clip is in both.

    A clip's place in the draw depends on (seed, its name) alone: data added later moves few of the earlier clips.

    Raises:
        DetectorError: `share` is not between 0 and 1, or there is only one clip.

    """
    if not 0 < share < 1:
        raise DetectorError(f"holdout {share}: expected a share between 0 and 1, as 0.2")
    sizes = Counter(image.clip for image in images)
    if len(sizes) < 2:
        raise DetectorError(f"holdout {share}: all {len(images)} images are of one clip; expected at least two")
    drawn = sorted(sizes, key=lambda clip: hashlib.sha256(f"{seed} {clip}".encode()).digest())
    room = share * len(images)
    held: set[str] = set()
    for clip in drawn:
        if sizes[clip] <= room:
            held.add(clip)
            room -= sizes[clip]
    held = held or {min(drawn, key=lambda clip: sizes[clip])}
    return [image for image in images if image.clip not in held], [image for image in images if image.clip in held]


def read_rows(
    path: Path,
    number: Callable[[str], Number],
    columns: Sequence[str],
    separator: str | None,
    account: Account,
    advice: str = "",
) -> Iterator[tuple[int, list[Number]]]:
    """Number (from 1) and values of every line in `path`, without empty lines and trailing separators.

    The rows are counted in `account`.

    Raises:
        DetectorError: not a text file, or a row without one number per column; names the line.

    """
    try:
        lines = read_regular(path).decode("utf-8-sig").splitlines()
    except OSError as error:
        raise DetectorError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise DetectorError(f"{path}: not a text file; expected rows of {' '.join(columns)}") from None
    for line_number, line in enumerate(lines, start=1):
        text = line.strip().rstrip(separator)
        if not text:
            continue
        try:
            values = [number(field) for field in text.split(separator)]
        except ValueError:
            values = []
        if len(values) != len(columns):
            kind = "whole numbers" if number is int else "numbers"
            raise DetectorError(
                f"{path} line {line_number}: '{line[:60]}'; "
                f"expected {len(columns)} {kind}: {(separator or ' ').join(columns)}{advice}"
            )
        account.read += 1
        yield line_number, values


def require_boxes(images: Sequence[ConvertedImage], place: Path, account: Account) -> None:
    """Refuse a data set without any person.

    Raises:
        DetectorError: no annotation of `images` is a person.

    """
    if all(row["iscrowd"] for image in images for row in image.annotations):
        reasons = account.reasons()
        raise DetectorError(
            f"{place}: no persons: {account.read:,} rows read{f', {reasons}' if reasons else ''}; expected at "
            "least one person"
        )
