"""VisDrone annotations of images (DET) and of videos' frames (VID, MOT), as in the official archives.

A row of DET is left,top,width,height,score,category,truncation,occlusion; in VID, frame,target come first. In
ground truth, score 0 marks a box to ignore, and category 0 a region without annotations (README of the official
VisDrone-DET and -VID toolkits).
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from detector.annotations.account import Account
from detector.annotations.conversion import Conversion, ConvertedImage, read_rows, require_boxes
from detector.annotations.pictures import (
    image_size,
    is_leftover,
    list_files,
    list_images,
    note_misfit,
    one_of_a_name,
)
from detector.errors import DetectorError

_COLUMNS = ("left", "top", "width", "height", "score", "category", "truncation", "occlusion")
_VIDEO_COLUMNS = ("frame", "target", *_COLUMNS)
_REGION, _PEDESTRIAN, _PEOPLE, _LAST_CATEGORY = 0, 1, 2, 11
_TWICE = "rows have a frame and target that occurred before; they are used"
_LAYOUT = "annotations/ beside images/ (DET) or sequences/ (VID)"
_INCOMPLETE = "unpack the archive again, or skip incomplete parts with --skip-missing"


def read_visdrone(root: Path, *, both: bool = False, skip_missing: bool = False) -> Conversion:
    """The persons of the VisDrone data in `root`, or in the only folder with such data up to two levels below.

    Regions and persons to ignore have `iscrowd` 1. Every annotation keeps `truncation` (0 none, 1 partial),
    `occlusion` (0 none, 1 partial, 2 heavy) and `original_category`; one of a video also `track_id`.

    Args:
        root: file names become relative to it.
        both: keep "pedestrian" and "people" as two categories, with each region in both; else both are "person".
        skip_missing: skip and count annotations without an image and images without annotations.

    Raises:
        DetectorError: no VisDrone data, several sets of it, a missing file, or a malformed row (file and line).

    """
    folder = _find(root)
    reader = _Reader(root, folder, both, skip_missing)
    images = reader.videos() if (folder / "sequences").is_dir() else reader.stills()
    if not images:
        raise DetectorError(f"{folder}: no images with annotations; expected {_LAYOUT}")
    require_boxes(images, folder, reader.account)
    return Conversion(images, ("pedestrian", "people") if both else ("person",), reader.account)


def _find(root: Path) -> Path:
    if not root.is_dir():
        raise DetectorError(f"{root}: no such folder; expected {_LAYOUT}")
    folders = [root, *(path for pattern in ("*/", "*/*/") for path in sorted(root.glob(pattern)))]
    found = [
        path
        for path in folders
        if (path / "annotations").is_dir() and ((path / "images").is_dir() or (path / "sequences").is_dir())
    ]
    if not found:
        raise DetectorError(f"{root}: no VisDrone data here or up to two folders below; expected {_LAYOUT}")
    if len(found) > 1:
        names = ", ".join(str(path.relative_to(root)) for path in found)
        raise DetectorError(
            f"{root}: {len(found)} data sets: {names}; convert each separately, to keep training and validation "
            "apart"
        )
    return found[0]


class _Reader:
    """Reads one folder, and counts its rows and skipped parts in `account`."""

    def __init__(self, root: Path, folder: Path, both: bool, skip_missing: bool) -> None:
        self._root, self._folder = root, folder
        self._ids = {_PEDESTRIAN: 1, _PEOPLE: 2 if both else 1}
        self._skip_missing = skip_missing
        self.account = Account("rows")

    def stills(self) -> list[ConvertedImage]:
        """VisDrone-DET: annotations/NAME.txt belongs to images/NAME.jpg; NAME begins with the clip's number."""
        images = []
        pictures = list_images(self._folder / "images", account=self.account)
        for name, path, text in self._pairs("image", pictures, self._folder / "images"):
            size = image_size(path)
            rows = read_rows(text, int, _COLUMNS, ",", self.account)
            found = [each for line, row in rows for each in self._annotations(f"{text} line {line}", row, size)]
            images.append(self._image(path, size, name.partition("_")[0], found))
        return images

    def videos(self) -> list[ConvertedImage]:
        """VisDrone-VID: annotations/NAME.txt belongs to sequences/NAME/0000001.jpg and so on."""
        inside = self._folder / "sequences"
        sequences = [path for path in inside.iterdir() if path.is_dir() and not is_leftover(path)]
        images = []
        for name, folder, text in self._pairs("sequence", sequences, inside):
            frames = self._frames(folder)
            sizes = {frame: image_size(path) for frame, path in frames.items()}
            found: dict[int, list[dict[str, Any]]] = {frame: [] for frame in frames}
            seen: set[tuple[int, int]] = set()
            for line, (frame, target, *row) in read_rows(text, int, _VIDEO_COLUMNS, ",", self.account):
                place = f"{text} line {line}"
                if frame not in frames:
                    self._missing(f"{place}: frame {frame} has no image in {folder}", None)
                    self.account.left_out["of a frame without an image"] += 1
                    continue
                self.account.notes[_TWICE] += row[5] != _REGION and (frame, target) in seen
                seen.add((frame, target))
                found[frame] += self._annotations(place, row, sizes[frame], track_id=target)
            images += [self._image(frames[frame], sizes[frame], name, found[frame]) for frame in sorted(frames)]
        return images

    def _frames(self, folder: Path) -> dict[int, Path]:
        """The images of a sequence by the number of their frame."""
        frames: dict[int, Path] = {}
        for path in list_images(folder, account=self.account):
            number = _frame_number(path)
            if number in frames:
                raise DetectorError(
                    f"{path}: {frames[number].name} is frame {number}, too; expected one image for each"
                )
            frames[number] = path
        return frames

    def _pairs(self, kind: str, paths: Sequence[Path], folder: Path) -> Iterator[tuple[str, Path, Path]]:
        """Name, image (or sequence) in `folder`, and annotations of all that have both, sorted by name."""
        there = one_of_a_name(paths, folder)
        annotations = self._folder / "annotations"
        texts = one_of_a_name(list_files(annotations, {".txt"}), annotations)
        for name in sorted(there.keys() | texts.keys()):
            if name not in there:
                self._missing(f"{texts[name]}: no such {kind}", f"annotations without {kind}")
            elif name not in texts:
                self._missing(f"{there[name]}: no annotations of this {kind}", f"{kind}s without annotations")
            else:
                yield name, there[name], texts[name]

    def _missing(self, error: str, note: str | None) -> None:
        if not self._skip_missing:
            raise DetectorError(f"{error}; {_INCOMPLETE}")
        if note is not None:
            self.account.notes[f"{note} left out"] += 1

    def _annotations(
        self, place: str, row: Sequence[int], size: tuple[int, int], **more: int
    ) -> list[dict[str, Any]]:
        left, top, width, height, score, category, truncation, occlusion = row
        if score not in (0, 1) or not _REGION <= category <= _LAST_CATEGORY:
            raise DetectorError(
                f"{place}: score {score}, category {category}; expected 0 or 1, and 0 to {_LAST_CATEGORY}"
            )
        if width <= 0 or height <= 0:
            self.account.left_out["without area"] += 1
            return []
        if category != _REGION and category not in self._ids:
            self.account.left_out["of other categories"] += 1
            return []
        note_misfit([left, top, width, height], size, self.account)
        annotation = {
            "bbox": [left, top, width, height],
            "iscrowd": int(category == _REGION or score == 0),
            "truncation": truncation,
            "occlusion": occlusion,
            "original_category": category,
            **more,
        }
        # COCO has regions of one category only: a region that may hide any person is one of each category.
        ids = sorted(set(self._ids.values())) if category == _REGION else [self._ids[category]]
        return [{"category_id": number, **annotation} for number in ids]

    def _image(
        self, path: Path, size: tuple[int, int], clip: str, annotations: list[dict[str, Any]]
    ) -> ConvertedImage:
        return ConvertedImage(path.relative_to(self._root).as_posix(), size, clip, annotations)


def _frame_number(path: Path) -> int:
    if not path.stem.isdecimal():
        raise DetectorError(f"{path}: expected a frame's number as the name, as 0000001.jpg")
    return int(path.stem)
