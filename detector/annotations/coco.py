"""COCO annotations: read, checked, persons only. Importable without torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.annotations.account import Account
from detector.annotations.json_rows import by_id, look_up, read_bbox, read_json, read_number, shown
from detector.annotations.persons import choose_persons
from detector.annotations.pictures import check_size, note_misfit
from detector.config import DataSource
from detector.errors import DetectorError
from detector.records import areas

_PARTS = ("images", "annotations", "categories")
_EXPECTED = "COCO annotations"
_FEW_OUTSIDE = 8  # one box in so many may have its centre outside of the image
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
        altitude: of the drone, metres above take-off; None: not annotated.

    """

    path: Path
    size: tuple[int, int] | None
    boxes: NDArray[np.float32]
    regions: NDArray[np.float32]
    ignored_persons: NDArray[np.float32] = field(default_factory=_no_boxes)
    annotated_areas: NDArray[np.float32] | None = None
    image_id: int | str = 0
    altitude: float | None = None

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


@dataclass(frozen=True)
class Categories:
    """The categories of a data set: the ids of all, and of those that are persons."""

    ids: tuple[int | str, ...]
    persons: tuple[int | str, ...]


def read_coco(source: DataSource, account: Account | None = None) -> list[AnnotatedImage]:
    """The images of `source`, as from `read_annotations`; all image files exist and have the annotated size.

    Where the images were made smaller or larger by a whole factor, the boxes are scaled.

    Raises:
        DetectorError: as `read_annotations`, or an image file is missing, or of another size.

    """
    account = Account("annotations") if account is None else account
    images = read_annotations(source.annotations, source.images, source.persons, account)
    missing = [image.path for image in images if not image.path.exists()]
    if missing:
        raise DetectorError(
            f"{source.annotations}: {len(missing)} of its {len(images)} images are missing, "
            f"the first is {missing[0]}"
        )
    return [_fitted(image, str(source.annotations), account) for image in images]


def check_sources(sources: Sequence[DataSource]) -> list[str]:
    """Read `sources`, and return lines with the counts of what is used of each.

    Raises:
        DetectorError: as `read_coco`, or there is no person in any of them.

    """
    lines: list[str] = []
    persons = 0
    for source in sources:
        account = Account("annotations")
        persons += sum(len(image.boxes) for image in read_coco(source, account))
        lines += account.lines(source.annotations)
    if not persons:
        raise _nobody([source.annotations for source in sources])
    return lines


def require_persons(images: Sequence[AnnotatedImage], sources: Sequence[Path]) -> None:
    """Refuse a data set without any person.

    Raises:
        DetectorError: `images` show none; names the files `sources`.

    """
    if not any(len(image.boxes) for image in images):
        raise _nobody(sources)


def _nobody(sources: Sequence[Path]) -> DetectorError:
    return DetectorError(
        f"{', '.join(map(str, sources))}: no persons to train on or to measure; expected at least one annotation "
        "of a person that is not to be ignored"
    )


def read_annotations(
    annotations: Path, images: Path, persons: Sequence[str] = (), account: Account | None = None
) -> list[AnnotatedImage]:
    """The images that COCO's JSON in `annotations` lists, persons only; the image files are not read.

    Args:
        annotations: COCO's JSON.
        images: the folder that its file names are relative to.
        persons: names of the categories that are persons; empty: as `choose_persons`.
        account: counts the annotations.

    Raises:
        DetectorError: not COCO JSON, no person category, no image, one outside its folder, or a bad annotation.

    """
    account = Account("annotations") if account is None else account
    return _parse(_content(annotations), annotations, images, persons, account)


def read_categories(annotations: Path, persons: Sequence[str] = ()) -> Categories:
    """The categories in `annotations`; `persons` as in `read_annotations`.

    Raises:
        DetectorError: not COCO JSON, or no person category.

    """
    listed, chosen = _categories(annotations, _content(annotations), persons)
    return Categories(tuple(row["id"] for row in listed.values()), tuple(listed[key]["id"] for key in chosen))


def _content(path: Path) -> dict[str, list[dict[str, Any]]]:
    """The lists of images, annotations and categories in `path`, of mappings only."""
    content = read_json(path, _EXPECTED)
    if not isinstance(content, dict):
        detections = " (detections? give them as --detections)" if isinstance(content, list) else ""
        raise DetectorError(f"{path}: not {_EXPECTED}: {shown(content)}{detections}; expected a mapping of lists")
    for part in _PARTS:
        rows = content.get(part)
        if not isinstance(rows, list):
            raise DetectorError(
                f"{path}: not {_EXPECTED}: '{part}' is {shown(rows) if part in content else 'missing'}; expected "
                f"lists of {', '.join(_PARTS)}"
            )
        for number, row in enumerate(rows, start=1):
            if not isinstance(row, dict):
                raise DetectorError(
                    f"{path}: not {_EXPECTED}: '{part}' has {shown(row)} in place {number}; expected a mapping"
                )
    return {part: content[part] for part in _PARTS}


def _categories(
    path: Path, content: Mapping[str, list[dict[str, Any]]], persons: Sequence[str]
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """All categories by the key of their id, and the keys of those that are persons."""
    listed = by_id(content["categories"], "categories", str(path))
    for key, row in listed.items():
        if not isinstance(row.get("name"), str):
            raise DetectorError(f"{path}: category {key} has name {shown(row.get('name'))}; expected a text")
    return listed, choose_persons({key: row["name"] for key, row in listed.items()}, persons, str(path))


def _parse(
    content: Mapping[str, list[dict[str, Any]]], path: Path, folder: Path, wanted: Sequence[str], account: Account
) -> list[AnnotatedImage]:
    categories, persons = _categories(path, content, wanted)
    if len(persons) > 1 or wanted:
        account.remark(f"persons: {', '.join(_title(categories, key) for key in persons)}")
    images = by_id(content["images"], "images", str(path))
    if not images:
        raise DetectorError(f"{path}: lists no images; expected at least one")
    files = {key: (folder / _inside(path, row), _size(path, row)) for key, row in images.items()}
    _refuse_one_file_twice(path, files)
    found: dict[str, list[_Box]] = {key: [] for key in files}
    seen: dict[str, dict[str, Any]] = {}
    for row in content["annotations"]:
        place = f"{path}: annotation {_name(row)}"
        account.read += 1
        category = look_up(row, "category_id", categories, account)
        if category is None:
            names = ", ".join(f"{key} ({each['name']})" for key, each in list(categories.items())[:30])
            raise DetectorError(f"{place} has category_id {shown(row.get('category_id'))}; expected one of {names}")
        image = look_up(row, "image_id", images, account)
        if image is None:
            raise DetectorError(f"{place} belongs to image {shown(row.get('image_id'))}, which is not listed")
        reason = _why_not(row, category, persons, categories, seen, account)
        if reason is None:
            x, y, width, height = read_bbox(row, place)
            kind, area = _kind(row, place), _area(row, place, width * height)
            if width > 0 and height > 0:
                note_misfit([x, y, width, height], files[image][1], account)
                account.notes["regions or persons to ignore, among those used"] += kind != "boxes"
                found[image].append((kind, [x, y, x + width, y + height], area))
                continue
            reason = "without area"
        account.left_out[reason] += 1
    _refuse_shares(path, found)
    _refuse_corners(path, found, {key: size for key, (_, size) in files.items()})
    account.notes["images without any annotation used"] += sum(not rows for rows in found.values())
    return [_image(*files[key], images[key]["id"], found[key], _altitude(path, images[key])) for key in files]


def _why_not(
    row: dict[str, Any],
    category: str,
    persons: Sequence[str],
    categories: Mapping[str, Mapping[str, Any]],
    seen: dict[str, dict[str, Any]],
    account: Account,
) -> str | None:
    """The reason for which the annotation `row` is left out; None if it is used. Adds it to `seen`."""
    if category not in persons:
        return f"of category {categories[category]['name']}"
    if row.get("ignore") in (1, True) and not row.get("iscrowd"):
        account.notes["annotations have 'ignore' set, without effect in COCO; iscrowd 1 marks what to ignore"] += 1
    if row.get("id") is not None:
        former = seen.setdefault(str(row["id"]), row)
        if former is not row and former == row:
            return "repeated"
        account.notes["annotations have an id that occurred before; they are used"] += former is not row
    return None


def _title(categories: Mapping[str, Mapping[str, Any]], key: str) -> str:
    return f"{categories[key]['name']} (category {key})"


def _name(row: Mapping[str, Any]) -> str:
    return str(row["id"])[:40] if isinstance(row.get("id"), int | str) else f"without id in {shown(row)}"


def _refuse_one_file_twice(path: Path, files: Mapping[str, tuple[Path, Any]]) -> None:
    first: dict[Path, str] = {}
    for key, (file, _) in files.items():
        if first.setdefault(file, key) != key:
            raise DetectorError(
                f"{path}: images {first[file]} and {key} have the same file_name {file.name}; expected each once"
            )


def _refuse_shares(path: Path, found: Mapping[str, list[_Box]]) -> None:
    """Boxes that all end within the first pixel are shares of the image, which would be read as pixels."""
    boxes = [box for rows in found.values() for _, box, _ in rows]
    if boxes and max(map(max, boxes)) <= 1:
        raise DetectorError(f"{path}: all boxes end at 1 px or before, as shares of the image do; expected pixels")


def _refuse_corners(
    path: Path, found: Mapping[str, list[_Box]], sizes: Mapping[str, tuple[int, int] | None]
) -> None:
    """A second corner that is read as a size is greater than the first one, and makes boxes mostly outside."""
    boxes = [(box, size) for key, rows in found.items() if (size := sizes[key]) for _, box, _ in rows]
    outside = sum(box[0] + box[2] > 2 * size[0] or box[1] + box[3] > 2 * size[1] for box, size in boxes)
    corners = all(box[2] > 2 * box[0] and box[3] > 2 * box[1] for box, _ in boxes)
    if corners and outside >= max(1, len(boxes) // _FEW_OUTSIDE):
        raise DetectorError(
            f"{path}: {outside} of {len(boxes)} boxes have their centre outside of the image, as if they were two "
            "corners; expected [left, top, width, height] in px"
        )


def _kind(row: dict[str, Any], place: str) -> str:
    crowd = row.get("iscrowd")
    if crowd is not None and crowd not in (0, 1):
        raise DetectorError(f"{place} has iscrowd {shown(crowd)}; expected 0 or 1")
    if not crowd:
        return "boxes"
    return "regions" if row.get("original_category", _REGION) == _REGION else "ignored_persons"


def _area(row: dict[str, Any], place: str, of_box: float) -> float:
    if row.get("area") is None:
        return of_box
    area = read_number(row["area"])
    if not 0 <= area < float("inf"):
        raise DetectorError(
            f"{place} has area {shown(row['area'])}; expected a number of px², or no area: it is the box's then"
        )
    return area


def _image(
    path: Path, size: tuple[int, int] | None, number: int | str, rows: list[_Box], altitude: float | None
) -> AnnotatedImage:
    boxes = {
        kind: np.array([box for of, box, _ in rows if of == kind], np.float32).reshape(-1, 4)
        for kind in ("boxes", "regions", "ignored_persons")
    }
    areas = np.array([area for of, _, area in rows if of == "boxes"], np.float32)
    return AnnotatedImage(path=path, size=size, annotated_areas=areas, image_id=number, altitude=altitude, **boxes)


def _fitted(image: AnnotatedImage, place: str, account: Account) -> AnnotatedImage:
    """`image` in the pixels of its file."""
    if image.size is None:
        return image
    size = check_size(image.path, image.size, place, account)
    if size == image.size:
        return image
    factor = np.float32(size[0] / image.size[0])
    return replace(
        image,
        size=size,
        boxes=image.boxes * factor,
        regions=image.regions * factor,
        ignored_persons=image.ignored_persons * factor,
        annotated_areas=None if image.annotated_areas is None else image.annotated_areas * factor**2,
    )


def _inside(path: Path, row: Mapping[str, Any]) -> str:
    """The file of the image `row`, if it stays in the folder of the images."""
    name = row.get("file_name")
    if not isinstance(name, str) or not name.strip() or "\0" in name:
        raise DetectorError(f"{path}: image {row['id']} has file_name {shown(name)}; expected a text")
    pure = PurePath(name.replace("\\", "/"))
    if pure.is_absolute() or ".." in pure.parts:
        raise DetectorError(f"{path}: image {name} is outside the folder of the images; expected a path inside it")
    return str(pure)


def _altitude(path: Path, row: Mapping[str, Any]) -> float | None:
    if row.get("altitude_m") is None:
        return None
    altitude = read_number(row["altitude_m"])
    if not isfinite(altitude):
        raise DetectorError(
            f"{path}: image {row['id']} has altitude_m {shown(row['altitude_m'])}; expected metres, or nothing"
        )
    return altitude


def _size(path: Path, row: Mapping[str, Any]) -> tuple[int, int] | None:
    """The annotated width and height of the image `row`; None if neither is there."""
    sides = [row.get("width"), row.get("height")]
    if all(side in (None, 0) for side in sides):
        return None
    numbers = [read_number(side) for side in sides]
    if not all(0 < number < float("inf") and number.is_integer() for number in numbers):
        raise DetectorError(
            f"{path}: image {row['id']} has width {shown(sides[0])} and height {shown(sides[1])}; expected whole "
            "numbers of pixels, or neither of them"
        )
    return int(numbers[0]), int(numbers[1])
