"""YOLO annotations: images/NAME.jpg and labels/NAME.txt, rows of class and box as shares of the image."""

from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any

from detector.annotations.conversion import Conversion, ConvertedImage, image_size, list_images, read_rows
from detector.errors import DetectorError

_COLUMNS = ("class", "x_centre", "y_centre", "width", "height")
_TOLERANCE = 0.001  # shares are rounded in the files


def read_yolo(root: Path, *, persons: Collection[int] = (0,), subset: str = "") -> Conversion:
    """The boxes of the classes `persons` below `root`, all as one category "person".

    An image without a label file shows no person, as in YOLO. The clip is the image's name up to the first "_".
    Boxes are rounded to hundredths of a pixel, since the shares were computed from whole pixels.

    Args:
        root: contains images/ and labels/; file names become relative to it.
        persons: numbers of the classes that are persons.
        subset: a folder below images/ and labels/ both, as "train"; empty: none.

    Raises:
        DetectorError: no such folders, labels without an image, a malformed row (names file and line), or no row of
            these classes.

    """
    folder, labels = _folders(root, subset)
    pictures = {path.stem: path for path in list_images(folder)}
    texts = {path.stem: path for path in labels.glob("*.txt")}
    for name in sorted(texts.keys() - pictures.keys()):
        raise DetectorError(f"{texts[name]}: no image {name} in {folder}; expected one for each label file")
    if not pictures:
        below = ", ".join(f"--subset {path.name}" for path in sorted(folder.iterdir()) if path.is_dir())
        raise DetectorError(f"{folder}: no images here{f'; try {below}' if below else ''}")
    notes: Counter[str] = Counter()
    classes: Counter[int] = Counter()
    images = []
    for name, path in pictures.items():
        size = image_size(path)
        found = _boxes(texts[name], size, persons, notes, classes) if name in texts else []
        notes["images without a label file, taken as empty"] += name not in texts
        images.append(ConvertedImage(path.relative_to(root).as_posix(), size, name.partition("_")[0], found))
    if classes and not classes.keys() & set(persons):
        raise DetectorError(
            f"{labels}: no row of class {', '.join(map(str, persons))}; the rows are of class "
            f"{', '.join(map(str, sorted(classes)))}: name the classes of persons with --person"
        )
    return Conversion(images, ("person",), notes)


def _folders(root: Path, subset: str) -> tuple[Path, Path]:
    if subset and (subset == ".." or Path(subset).parts != (subset,)):
        raise DetectorError(f"subset '{subset}': expected the name of a folder below images/ and labels/")
    folders = root / "images" / subset, root / "labels" / subset
    for folder in folders:
        if not folder.is_dir():
            raise DetectorError(f"{folder}: no such folder; expected images/ and labels/ below {root}")
    return folders


def _boxes(
    path: Path, size: tuple[int, int], persons: Collection[int], notes: Counter[str], classes: Counter[int]
) -> list[dict[str, Any]]:
    """The boxes of persons in `path`; adds to `notes` and to `classes`, the number of rows by class."""
    boxes: list[dict[str, Any]] = []
    for line, (kind, *shares) in read_rows(path, float, _COLUMNS, None):
        # Written so that nan fails it.
        if not (kind.is_integer() and all(-_TOLERANCE <= share <= 1 + _TOLERANCE for share in shares)):
            raise DetectorError(f"{path} line {line}: expected a whole class and four shares of the image in 0..1")
        classes[int(kind)] += 1
        x, y, width, height = shares[0] * size[0], shares[1] * size[1], shares[2] * size[0], shares[3] * size[1]
        bbox = [round(value, 2) for value in (x - width / 2, y - height / 2, width, height)]
        if kind not in persons:
            notes["boxes of other classes left out"] += 1
        elif min(bbox[2:]) <= 0:
            notes["boxes without area dropped"] += 1
        else:
            boxes.append({"category_id": 1, "bbox": bbox, "iscrowd": 0})
    return boxes
