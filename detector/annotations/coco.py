"""COCO annotations: read, checked, persons only. Importable without torch."""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.config import DataSource
from detector.errors import DetectorError
from detector.files import read_regular
from detector.records import areas

# VisDrone has pedestrians (standing or walking) and people (in any other pose).
_PERSON_NAMES = (("person",), ("pedestrian", "people"))
_FARTHEST = 1e9  # px
_REGION = 0  # VisDrone's category of regions without annotations

_Box = tuple[str, list[float], Any]  # which of an image's boxes it is one of, xyxy, area


def _no_boxes() -> NDArray[np.float32]:
    return np.zeros((0, 4), np.float32)


@dataclass(frozen=True, eq=False)
class AnnotatedImage:
    """One image of a COCO data set.

    Attributes:
        path: the image file.
        size: its width and height in pixels; None if they are not annotated.
        boxes: float32 (n, 4) xyxy, persons.
        regions: float32 (r, 4) xyxy, regions in which persons are not annotated (`iscrowd`).
        ignored_persons: float32 (m, 4) xyxy, single persons that do not count (VisDrone's score 0).
        annotated_areas: float32 (n,), px²: the annotated areas of the persons (of their masks, if there are
            masks); None if they are not annotated.
        image_id: of the image in the annotations.

    """

    path: Path
    size: tuple[int, int] | None
    boxes: NDArray[np.float32]
    regions: NDArray[np.float32]
    ignored_persons: NDArray[np.float32] = field(default_factory=_no_boxes)
    annotated_areas: NDArray[np.float32] | None = None
    image_id: int | str = 0

    @property
    def ignored(self) -> NDArray[np.float32]:
        """Regions and ignored persons together: float32 (r + m, 4) xyxy."""
        return np.concatenate([self.regions, self.ignored_persons])

    @property
    def areas(self) -> NDArray[np.float32]:
        """The areas by which COCO divides persons into small, medium and large: float32 (n,), px²."""
        if self.annotated_areas is not None:
            return self.annotated_areas
        return areas(self.boxes)


def read_coco(source: DataSource) -> list[AnnotatedImage]:
    """The images of `source`, as from `read_annotations`; all image files exist.

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
    """The images that COCO's JSON in `annotations` lists, persons only; the image files are not read.

    Persons are the category "person", else "pedestrian" and "people" together, else the only category.

    Args:
        annotations: COCO's JSON.
        images: the folder that its file names are relative to.

    Raises:
        DetectorError: not COCO JSON, no person category, no image, one outside its folder, or a bad annotation.

    """
    with _complaints(annotations):
        return _parse(json.loads(read_regular(annotations)), annotations, images)


def person_categories(annotations: Path) -> list[int]:
    """The ids of the categories in `annotations` that are persons, by the rule of `read_annotations`.

    Raises:
        DetectorError: not COCO JSON, or no person category.

    """
    with _complaints(annotations):
        return _person_categories(annotations, json.loads(read_regular(annotations)))


@contextmanager
def _complaints(path: Path) -> Iterator[None]:
    """Errors while COCO's JSON in `path` is read, as DetectorErrors."""
    try:
        yield
    except OSError as error:
        raise DetectorError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise DetectorError(
            f"{path}: not COCO annotations ({repr(error)[:100]}); expected images, annotations and categories"
        ) from None


def _parse(content: Any, path: Path, images: Path) -> list[AnnotatedImage]:
    persons = _person_categories(path, content)
    files = {row["id"]: (images / _inside(path, row["file_name"]), _size(row)) for row in content["images"]}
    if not files:
        raise DetectorError(f"{path}: lists no images; expected at least one")
    found: dict[Any, list[_Box]] = {number: [] for number in files}
    for row in content["annotations"]:
        if not isinstance(row, dict):
            raise DetectorError(f"{path}: an annotation is {str(row)[:60]}; expected a mapping")
        if row.get("category_id") not in persons:
            continue
        if row.get("image_id") not in files:
            raise DetectorError(
                f"{path}: annotation {row.get('id')} belongs to image {row.get('image_id')}, which is not listed"
            )
        x, y, width, height = read_bbox(row, f"{path}: annotation {row.get('id')}")
        if width > 0 and height > 0:
            found[row["image_id"]].append(
                (_kind(row), [x, y, x + width, y + height], row.get("area", width * height))
            )
    return [_image(file, size, number, found[number]) for number, (file, size) in files.items()]


def _kind(row: dict[str, Any]) -> str:
    if not row.get("iscrowd"):
        return "boxes"
    return "regions" if row.get("original_category", _REGION) == _REGION else "ignored_persons"


def _image(path: Path, size: tuple[int, int] | None, number: int | str, rows: list[_Box]) -> AnnotatedImage:
    boxes = {
        kind: np.array([box for of, box, _ in rows if of == kind], np.float32).reshape(-1, 4)
        for kind in ("boxes", "regions", "ignored_persons")
    }
    areas = np.array([float(area) for of, _, area in rows if of == "boxes"], np.float32)
    return AnnotatedImage(path=path, size=size, annotated_areas=areas, image_id=number, **boxes)


def _person_categories(path: Path, content: Any) -> list[int]:
    categories = {row["name"]: row["id"] for row in content["categories"]}
    for names in _PERSON_NAMES:
        if set(names) <= categories.keys():
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


def read_bbox(row: dict[str, Any], place: str) -> list[float]:
    """`row["bbox"]`, left, top, width and height in px; `place` is the beginning of an error.

    Raises:
        DetectorError: not four numbers, or too large for pixels.

    """
    box = row.get("bbox")
    numbers = [read_number(value) for value in box] if isinstance(box, list) else []
    if len(numbers) != 4 or not all(abs(value) < _FARTHEST for value in numbers):
        raise DetectorError(f"{place} has bbox {str(box)[:60]}; expected [left, top, width, height] in px")
    return numbers


def read_number(value: Any) -> float:
    """`value` of a JSON file; NaN if it is not a number, or too large for a float."""
    try:
        return float(value) if isinstance(value, int | float) else math.nan
    except OverflowError:
        return math.nan
