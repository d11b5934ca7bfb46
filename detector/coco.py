"""Annotations in COCO's JSON, from anyone: read, checked, persons only. Importable without torch."""

import json
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.config import DataSource
from detector.errors import DetectorError

# VisDrone tells pedestrians (who stand or walk) from people (in any other pose).
_PERSON_NAMES = ({"person"}, {"pedestrian", "people"})


@dataclass(frozen=True, eq=False)
class AnnotatedImage:
    """One image of a COCO data set.

    Attributes:
        path: the image file.
        size: its width and height in pixels; None where the annotations do not say.
        boxes: float32 (n, 4) xyxy, persons.
        ignored: float32 (m, 4) xyxy, regions where persons may be but are not annotated (`iscrowd`).

    """

    path: Path
    size: tuple[int, int] | None
    boxes: NDArray[np.float32]
    ignored: NDArray[np.float32]


def read_coco(source: DataSource) -> list[AnnotatedImage]:
    """The images of `source`, as `read_annotations` gives them; each of them is there.

    Raises:
        DetectorError: as `read_annotations`, or an image file is missing.

    """
    images = read_annotations(source.annotations, source.images)
    missing = [image.path for image in images if not image.path.exists()]
    if missing:
        raise DetectorError(
            f"{source.annotations}: {len(missing)} of its {len(images)} images are missing, "
            f"the first is {missing[0]}"
        )
    return images


def read_annotations(annotations: Path, images: Path) -> list[AnnotatedImage]:
    """The images that COCO's JSON in `annotations` lists, persons only; the image files are not looked at.

    Persons are the category "person", else "pedestrian" and "people" together, else the only one there is.

    Args:
        annotations: COCO's JSON.
        images: the folder that its file names are relative to.

    Raises:
        DetectorError: not COCO JSON, no person category, no image, one outside its folder, or a bad annotation.

    """
    try:
        return _parse(json.loads(annotations.read_text("utf-8")), annotations, images)
    except OSError as error:
        raise DetectorError(f"{annotations}: cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise DetectorError(
            f"{annotations}: not COCO annotations ({error!r}); expected images, annotations and categories"
        ) from None


def _parse(content: Any, path: Path, images: Path) -> list[AnnotatedImage]:
    persons = _person_categories(path, {row["name"]: row["id"] for row in content["categories"]})
    files = {row["id"]: (images / _inside(path, row["file_name"]), _size(row)) for row in content["images"]}
    if not files:
        raise DetectorError(f"{path}: lists no images; expected at least one")
    boxes: dict[Any, list[list[float]]] = {number: [] for number in files}
    ignored: dict[Any, list[list[float]]] = {number: [] for number in files}
    for row in content["annotations"]:
        if not isinstance(row, dict):
            raise DetectorError(f"{path}: an annotation is no mapping: {str(row)[:60]}")
        if row.get("category_id") not in persons:
            continue
        if row.get("image_id") not in files:
            raise DetectorError(
                f"{path}: annotation {row.get('id')} belongs to image {row.get('image_id')}, which is not listed"
            )
        x, y, width, height = _bbox(row, path)
        if width > 0 and height > 0:
            (ignored if row.get("iscrowd") else boxes)[row["image_id"]].append([x, y, x + width, y + height])
    return [
        AnnotatedImage(file, size, _array(boxes[number]), _array(ignored[number]))
        for number, (file, size) in files.items()
    ]


def _person_categories(path: Path, categories: dict[str, Any]) -> list[Any]:
    for names in _PERSON_NAMES:
        if names <= categories.keys():
            return [categories[name] for name in names]
    if len(categories) == 1:
        return list(categories.values())
    raise DetectorError(f"{path}: no category 'person' among {', '.join(sorted(categories)) or 'none'}")


def _inside(path: Path, name: Any) -> str:
    """`name`, if it stays in the folder of the images."""
    pure = PurePath(name)
    if pure.is_absolute() or ".." in pure.parts:
        raise DetectorError(f"{path}: image {name} is outside the folder of the images; expected a path inside it")
    return str(pure)


def _size(row: dict[str, Any]) -> tuple[int, int] | None:
    width, height = row.get("width"), row.get("height")
    if isinstance(width, int) and isinstance(height, int) and min(width, height) > 0:
        return width, height
    return None


def _bbox(row: dict[str, Any], path: Path) -> list[float]:
    box = row.get("bbox")
    numbers = [float(value) for value in box if isinstance(value, int | float)] if isinstance(box, list) else []
    if len(numbers) != 4 or not np.isfinite(numbers).all():
        raise DetectorError(
            f"{path}: annotation {row.get('id')} has bbox {str(box)[:60]}; "
            "expected [left, top, width, height] in px"
        )
    return numbers


def _array(rows: list[list[float]]) -> NDArray[np.float32]:
    return np.array(rows, np.float32).reshape(-1, 4)
