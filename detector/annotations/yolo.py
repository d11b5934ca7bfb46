"""YOLO annotations: images/NAME.jpg and labels/NAME.txt, rows of class and box as shares of the image."""

from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from detector.annotations.account import Account
from detector.annotations.conversion import Conversion, ConvertedImage, read_rows, require_boxes
from detector.annotations.pictures import image_size, list_files, list_images, note_misfit, one_of_a_name
from detector.annotations.yolo_names import LISTS, Names, choose_classes
from detector.errors import DetectorError

_COLUMNS = ("class", "x_centre", "y_centre", "width", "height")
_ADVICE = "; export boxes, not polygons, keypoints, oriented boxes or detections with scores"
_TOLERANCE = 0.001  # shares are rounded in the files
_SUBSETS = {"train", "training", "val", "valid", "validation", "test", "testing"}
_NOT_LABELS = (*LISTS, "train.txt", "val.txt", "valid.txt", "test.txt")  # beside images and labels in one folder

_Row = tuple[int, int, Sequence[float]]  # line, class, shares


def read_yolo(root: Path, *, persons: Collection[int | str] = (), subset: str = "") -> Conversion:
    """The boxes of the classes `persons` below `root`, all as one category "person".

    An image without a label file shows no person, as in YOLO. The clip is the image's name up to the first "_".
    Boxes are rounded to hundredths of a pixel, since the shares were computed from whole pixels. A row that occurs
    twice in a file counts once, as in Ultralytics. Folders in images/ are read with their counterparts in labels/.

    Args:
        root: contains images/ and labels/, or obj_train_data/ with both, or both itself; file names become relative
            to it.
        persons: names or numbers of the classes that are persons; empty: by the names in data.yaml, classes.txt or
            obj.names.
        subset: a folder below images/ and labels/ both, as "train"; empty: none.

    Raises:
        DetectorError: no such folders, labels without an image, two images of one name, a malformed row (names file
            and line), classes that cannot be recognised as persons, or no person.

    """
    account = Account("rows")
    folder, labels = _folders(root, subset)
    pictures = one_of_a_name(_images(folder, labels, subset, account), folder)
    texts = _texts(labels, folder, pictures)
    rows = {name: _read(path, account) for name, path in texts.items()}
    classes = Counter(kind for found in rows.values() for _, kind, _ in found)
    chosen, names = choose_classes(root, labels, persons, classes, account)
    _check_classes(classes, chosen, names, labels, texts, rows)
    images = []
    for name, path in pictures.items():
        size = image_size(path)
        boxes = _boxes(rows.get(name, ()), size, chosen, names, account)
        account.notes["images without a label file, taken as empty"] += name not in texts
        clip = name.rpartition("/")[2].partition("_")[0]
        images.append(ConvertedImage(path.relative_to(root).as_posix(), size, clip, boxes))
    require_boxes(images, labels, account)
    return Conversion(images, ("person",), account)


def _folders(root: Path, subset: str) -> tuple[Path, Path]:
    if subset and (subset == ".." or Path(subset).parts != (subset,)):
        raise DetectorError(f"subset '{subset}': expected the name of a folder below images/ and labels/")
    if not (root / "images").is_dir() and not (root / "labels").is_dir() and root.is_dir():
        darknet = root / f"obj_{subset or 'train'}_data"
        if darknet.is_dir():
            return darknet, darknet
        if not subset and list_images(root) and list_files(root, {".txt"}):
            return root, root
    folders = root / "images" / subset, root / "labels" / subset
    for folder in folders:
        if not folder.is_dir():
            raise DetectorError(f"{folder}: no such folder; expected images/ and labels/ below {root}")
    return folders


def _images(folder: Path, labels: Path, subset: str, account: Account) -> list[Path]:
    """The images in `folder` and in its folders, unless these are training and validation images apart."""
    pictures = list_images(folder, below=folder != labels, account=account)
    parts = sorted({path.relative_to(folder).parts[0] for path in pictures if path.parent != folder})
    apart = not subset and _SUBSETS & {part.lower() for part in parts}
    if not pictures or apart:
        below = ", ".join(f"--subset {part}" for part in parts)
        also = "" if all(path.parent != folder for path in pictures) else " beside images of no subset"
        raise DetectorError(
            f"{folder}: no images here{f'; try {below}' if below else ''}"
            if not also
            else f"{folder}: {', '.join(parts)}{also}; convert each separately: {below}, and move the others"
        )
    return pictures


def _texts(labels: Path, folder: Path, pictures: Collection[str]) -> dict[str, Path]:
    """The label files in `labels` by name, as `pictures` are named."""
    texts = {}
    for path in list_files(labels, {".txt"}, below=folder != labels):
        name = path.relative_to(labels).with_suffix("").as_posix()
        if name in pictures:
            texts[name] = path
        elif path.name.lower() not in (_NOT_LABELS if folder == labels else LISTS):
            raise DetectorError(f"{path}: no image {name} in {folder}; expected one for each label file")
    return texts


def _read(path: Path, account: Account) -> list[_Row]:
    rows: list[_Row] = []
    seen = set()
    for line, (kind, *shares) in read_rows(path, float, _COLUMNS, None, account, _ADVICE):
        # Written so that nan fails it.
        if not (kind >= 0 and kind.is_integer() and all(-_TOLERANCE <= each <= 1 + _TOLERANCE for each in shares)):
            raise DetectorError(f"{path} line {line}: expected a whole class and four shares of the image in 0..1")
        if (kind, *shares) in seen:
            account.left_out["repeated"] += 1
            continue
        seen.add((kind, *shares))
        rows.append((line, int(kind), shares))
    return rows


def _check_classes(
    classes: Collection[int],
    chosen: Sequence[int],
    names: Names,
    labels: Path,
    texts: dict[str, Path],
    rows: dict[str, list[_Row]],
) -> None:
    if classes and not set(classes) & set(chosen):
        raise DetectorError(
            f"{labels}: no row of class {', '.join(map(str, chosen))}; the rows are of class "
            f"{', '.join(f'{each} ({names[each]})' if each in names else str(each) for each in sorted(classes))}: "
            "name the classes of persons with --person"
        )
    for name, found in rows.items():
        for line, kind, _ in found:
            if names and kind not in names:
                raise DetectorError(
                    f"{texts[name]} line {line}: class {kind}, but the names are of classes {min(names)} to "
                    f"{max(names)}; they are of another data set, or incomplete"
                )


def _boxes(
    rows: Sequence[_Row], size: tuple[int, int], chosen: Collection[int], names: Names, account: Account
) -> list[dict[str, Any]]:
    """The boxes of persons among `rows`; the others are counted in `account`."""
    boxes: list[dict[str, Any]] = []
    for _, kind, shares in rows:
        x, y, width, height = shares[0] * size[0], shares[1] * size[1], shares[2] * size[0], shares[3] * size[1]
        bbox = [round(value, 2) for value in (x - width / 2, y - height / 2, width, height)]
        if kind not in chosen:
            account.left_out[f"of class {names.get(kind, kind)}"] += 1
        elif min(bbox[2:]) <= 0:
            account.left_out["without area"] += 1
        else:
            note_misfit(bbox, size, account)
            boxes.append({"category_id": 1, "bbox": bbox, "iscrowd": 0})
    return boxes
