"""VisDrone annotations of images (DET) and of videos' frames (VID, MOT), as in the official archives.

A row of DET is left,top,width,height,score,category,truncation,occlusion; in VID, frame,target come first. In
ground truth, score 0 marks a box to ignore, and category 0 a region without annotations (README of the official
VisDrone-DET and -VID toolkits).
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from detector.annotations.conversion import Conversion, ConvertedImage, image_size, list_images, read_rows
from detector.errors import DetectorError

_COLUMNS = ("left", "top", "width", "height", "score", "category", "truncation", "occlusion")
_VIDEO_COLUMNS = ("frame", "target", *_COLUMNS)
_REGION, _PEDESTRIAN, _PEOPLE, _LAST_CATEGORY = 0, 1, 2, 11
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
    return Conversion(images, ("pedestrian", "people") if both else ("person",), reader.notes)


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
    """Reads one folder, and counts skipped parts in `notes`."""

    def __init__(self, root: Path, folder: Path, both: bool, skip_missing: bool) -> None:
        self._root, self._folder = root, folder
        self._ids = {_PEDESTRIAN: 1, _PEOPLE: 2 if both else 1}
        self._skip_missing = skip_missing
        self.notes: Counter[str] = Counter()

    def stills(self) -> list[ConvertedImage]:
        """VisDrone-DET: annotations/NAME.txt belongs to images/NAME.jpg; NAME begins with the clip's number."""
        images = []
        for name, path, text in self._pairs("image", list_images(self._folder / "images")):
            rows = read_rows(text, int, _COLUMNS, ",")
            found = [each for line, row in rows for each in self._annotations(f"{text} line {line}", row)]
            images.append(self._image(path, name.partition("_")[0], found))
        return images

    def videos(self) -> list[ConvertedImage]:
        """VisDrone-VID: annotations/NAME.txt belongs to sequences/NAME/0000001.jpg and so on."""
        sequences = [path for path in (self._folder / "sequences").iterdir() if path.is_dir()]
        images = []
        for name, folder, text in self._pairs("sequence", sequences):
            frames = {_frame_number(path): path for path in list_images(folder)}
            found: dict[int, list[dict[str, Any]]] = {frame: [] for frame in frames}
            for line, (frame, target, *row) in read_rows(text, int, _VIDEO_COLUMNS, ","):
                place = f"{text} line {line}"
                if frame in frames:
                    found[frame] += self._annotations(place, row, track_id=target)
                else:
                    self._missing(f"{place}: frame {frame} has no image in {folder}", "rows without an image")
            images += [self._image(frames[frame], name, found[frame]) for frame in sorted(frames)]
        return images

    def _pairs(self, kind: str, paths: Sequence[Path]) -> Iterator[tuple[str, Path, Path]]:
        """Name, image (or sequence) and annotations of all that have both, sorted by name."""
        there = {path.stem: path for path in paths}
        texts = {path.stem: path for path in (self._folder / "annotations").glob("*.txt")}
        for name in sorted(there.keys() | texts.keys()):
            if name not in there:
                self._missing(f"{texts[name]}: no such {kind}", f"annotations without {kind}")
            elif name not in texts:
                self._missing(f"{there[name]}: no annotations of this {kind}", f"{kind}s without annotations")
            else:
                yield name, there[name], texts[name]

    def _missing(self, error: str, note: str) -> None:
        if not self._skip_missing:
            raise DetectorError(f"{error}; {_INCOMPLETE}")
        self.notes[f"{note} left out"] += 1

    def _annotations(self, place: str, row: Sequence[int], **more: int) -> list[dict[str, Any]]:
        left, top, width, height, score, category, truncation, occlusion = row
        if score not in (0, 1) or not _REGION <= category <= _LAST_CATEGORY:
            raise DetectorError(
                f"{place}: score {score}, category {category}; expected 0 or 1, and 0 to {_LAST_CATEGORY}"
            )
        if width <= 0 or height <= 0:
            self.notes["boxes without area dropped"] += 1
            return []
        if category != _REGION and category not in self._ids:
            self.notes["boxes of other categories left out"] += 1
            return []
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

    def _image(self, path: Path, clip: str, annotations: list[dict[str, Any]]) -> ConvertedImage:
        return ConvertedImage(path.relative_to(self._root).as_posix(), image_size(path), clip, annotations)


def _frame_number(path: Path) -> int:
    if not path.stem.isdecimal():
        raise DetectorError(f"{path}: expected a frame's number as the name, as 0000001.jpg")
    return int(path.stem)
