"""Detections of other tools: files of tracks, COCO's results, tables with a header, and YOLO's texts, one a frame.

A format that numbers its frames without saying from where is read as COCO's tracks are: frame 0 says so, or the
flight's number of frames does; else the user has to say it. Classes without names are labels by their numbers.
"""

import csv
import io
import json
import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from annotate.errors import AnnotateError
from annotate.exchange.admit import Admitted, FlightFacts, Reading, admit, choose, read_clips
from annotate.exchange.coco import parse_coco_tracks
from annotate.exchange.records import Clip, Role, TrackBox
from annotate.exchange.source import Source, open_source
from annotate.files import read_regular

_ALONE = {"yolo": "0", "coco results": "1"}  # the class of persons, where a format without names has no other
_NO_LABELS = {"classes.txt", "labels.txt", "readme.txt", "requirements.txt"}
_NUMBER_AT_END = re.compile(r"(\d{1,9})$", re.ASCII)
_FARTHEST = 1e9  # px, frames
_TOLERANCE = 0.01  # of shares of an image
_Row = tuple[int | None, int, TrackBox]  # the frame by its image's name, the number in the file, the box
# Columns of a table, by the names that tools give them.
_COLUMNS = {
    "frame": ("frame", "frame_id", "frame_index", "image_id"),
    "x1": ("x1", "xmin", "left"),
    "y1": ("y1", "ymin", "top"),
    "x2": ("x2", "xmax", "right"),
    "y2": ("y2", "ymax", "bottom"),
    "x": ("x", "left", "bb_left"),
    "y": ("y", "top", "bb_top"),
    "w": ("w", "width", "bb_width"),
    "h": ("h", "height", "bb_height"),
    "score": ("score", "confidence", "conf"),
    # Names before numbers: the tables of YOLOv5 have `class` 0 and `name` person.
    "label": ("label", "class_name", "name", "class", "category", "class_id", "category_id"),
}
_KINDS = (
    ".json (COCO's results or annotations), .txt (MOTChallenge, VisDrone), .csv or .tsv (a table with a header), "
    ".xml (CVAT), a .zip of one of these, or YOLO's folder of texts"
)
_EXPECTED_COLUMNS = "frame; x1, y1, x2, y2 or x, y, w, h; score; label"


@dataclass(frozen=True)
class DetectionsFile:
    """A file of detections in a flight.

    Attributes:
        form: the format, for people.
        paths: the files that were read.
        found: the persons, in frames and pixels of the flight.

    """

    form: str
    paths: tuple[Path, ...]
    found: Admitted


def read_detections(
    path: Path, facts: FlightFacts, reading: Reading, frames: Mapping[str, int] | None = None
) -> DetectionsFile:
    """The persons in `path`.

    Args:
        path: a file, the zip of an export, or YOLO's folder with a text for each frame.
        facts: what the file has to fit.
        reading: what the user says about the file.
        frames: name of an image without its ending -> frame, where the flight is a folder of images.

    Raises:
        AnnotateError: the file cannot be read, does not tell its persons or its first frame, or does not fit the
            flight; names file and line.

    """
    first, notes, clip = reading.first_frame, [], None
    if path.is_dir():
        texts = _texts(path)
        source, form, paths = Source(str(path), "yolo", b"", {}), "yolo", tuple(texts)
        clip = _numbered(source, facts.name, _yolo(path, texts, facts, frames or {}), first)
    else:
        source, paths = open_source(path, _form(path)), (path,)
        form = source.form
        if form == "coco":
            content = _json(source)
            if isinstance(content, list):
                form = "coco results"
                clip = _numbered(source, facts.name, _results(source, content, frames or {}), first)
        elif form == "table":
            clip = _numbered(source, facts.name, _table(source, frames or {}), first)
    if clip is None:
        clips = parse_coco_tracks(source, first, tracked=False) if form == "coco" else read_clips(source, first)
        clip = choose(source, clips, facts.name, reading.task)
    labels = {box.label for box in clip.boxes}
    if labels == {_ALONE.get(form)} and not reading.persons:
        notes.append(f"class {_ALONE[form]}, the only one, is taken as person")
        clip = replace(clip, boxes=tuple(replace(box, label="person") for box in clip.boxes))
    clip, scored = _scored(source.shown, clip)
    notes += [] if scored else ["no scores: all are 1"]
    found = admit(source, clip, facts, reading)
    others = Counter(found.left_out) + Counter(
        {"ignored, by flag or class": len(found.clip.boxes) - len(found.persons)}
    )
    clip = replace(found.clip, boxes=tuple(found.persons))
    return DetectionsFile(form, paths, replace(found, clip=clip, left_out=others, notes=(*found.notes, *notes)))


def _form(path: Path) -> str | None:
    """The format, where the suffix alone does not tell it."""
    suffix = path.suffix.lower()
    if suffix in (".json", ".xml", ".zip"):
        return None
    if suffix not in (".csv", ".txt", ".tsv"):
        raise AnnotateError(f"{path}: a file of no known kind; expected {_KINDS}")
    try:
        start = read_regular(path)[:1000].decode("utf-8-sig", "replace")
    except OSError as error:
        raise AnnotateError(f"{path}: cannot be read: {error.strerror}") from None
    line = next((line for line in start.splitlines() if line.strip()), "")
    return "table" if re.search(r"[a-df-zA-DF-Z_]", line) else "mot"


def _json(source: Source) -> Any:
    try:
        return json.loads(source.text)
    except (ValueError, RecursionError):
        raise AnnotateError(f"{source.shown}: not COCO's detections: not JSON") from None


def _scored(shown: str, clip: Clip) -> tuple[Clip, bool]:
    """The clip with scores from 0 to 1, and whether the file has them."""
    scores = {box.score for box in clip.boxes if box.role is Role.OBJECT}
    if scores == {-1.0}:  # MOTChallenge's word for none
        return replace(clip, boxes=tuple(replace(box, score=1.0) for box in clip.boxes)), False
    if scores and not (min(scores) >= 0 and max(scores) <= 1):
        raise AnnotateError(
            f"{shown}: scores from {min(scores):g} to {max(scores):g}; expected 0 to 1: scale them, as by a sigmoid"
        )
    return clip, scores != {1.0}


def _numbered(source: Source, name: str, found: Iterable[_Row], first: int | None) -> Clip:
    """A clip of boxes with the file's own numbers of frames, or with frames that their image's name gives."""
    rows = list(found)
    if all(frame is not None for frame, _, _ in rows):
        named = tuple(replace(box, frame=frame) for frame, _, box in rows if frame is not None)
        return Clip(name, named)
    lowest = min(number for _, number, _ in rows)
    counted_from = 0 if first is None and lowest == 0 else first
    if lowest < (counted_from or 0):
        raise AnnotateError(
            f"{source.shown}: has frame {lowest}; expected frames from {counted_from} up (--first-frame)"
        )
    start = counted_from or 0
    return Clip(
        name, tuple(replace(box, frame=number - start) for _, number, box in rows), counted_from=counted_from
    )


def _results(source: Source, content: Sequence[Any], frames: Mapping[str, int]) -> Iterator[_Row]:
    """COCO's result format: rows image_id, category_id, bbox, score; an image is a frame's number, or a name."""
    for index, row in enumerate(content):
        place = f"{source.shown}: row {index + 1}"
        if not isinstance(row, dict) or not {"image_id", "bbox", "score"} <= row.keys():
            raise AnnotateError(f"{place}: expected image_id, category_id, bbox and score, found {str(row)[:60]}")
        bbox = row["bbox"]
        if not isinstance(bbox, list) or len(bbox) != 4:
            raise AnnotateError(f"{place}: expected bbox as [left, top, width, height], found {str(bbox)[:60]}")
        frame, number = _frame(place, row["image_id"], frames)
        values = _numbers(place, (*bbox, row["score"]))
        yield (
            frame,
            number,
            _sized(place, values[:4], values[4], str(row.get("category_id", _ALONE["coco results"]))),
        )


def _table(source: Source, frames: Mapping[str, int]) -> Iterator[_Row]:
    """Rows under a header with names of columns, between commas, semicolons or tabs."""
    header = next(line for line in source.text.splitlines() if line.strip())
    between = max(",;\t", key=header.count)
    rows = csv.reader(io.StringIO(source.text), delimiter=between)
    names: list[str] = []
    at: dict[str, int] = {}
    for line, fields in enumerate(rows, start=1):
        fields = [field.strip() for field in fields]
        if not any(fields):
            continue
        if not names:
            names = [field.casefold() for field in fields]
            at = _columns(source.shown, names)
            continue
        place = f"{source.shown} line {line}"
        if len(fields) != len(names):
            raise AnnotateError(f"{place}: {len(fields)} fields, the header has {len(names)}")
        sides = ("x1", "y1", "x2", "y2") if "x1" in at else ("x", "y", "w", "h")
        values = _numbers(place, [fields[at[side]] for side in sides])
        score = _numbers(place, [fields[at["score"]]])[0] if "score" in at else 1.0
        label = fields[at["label"]] if "label" in at else "person"
        frame, number = _frame(place, fields[at["frame"]], frames)
        if "x1" in at:
            values = [values[0], values[1], values[2] - values[0], values[3] - values[1]]
        yield frame, number, _sized(place, values, score, label)


def _columns(shown: str, names: Sequence[str]) -> dict[str, int]:
    """Column -> its place; corners or sizes, whichever is whole."""
    at = {
        name: names.index(found)
        for name, others in _COLUMNS.items()
        if (found := next((each for each in others if each in names), None)) is not None
    }
    corners, sizes = {"x1", "y1", "x2", "y2"} <= at.keys(), {"x", "y", "w", "h"} <= at.keys()
    if "frame" not in at or not (corners or sizes) or len(set(names)) < len(names):
        raise AnnotateError(
            f"{shown}: a table with the columns {', '.join(names)[:200]}; expected {_EXPECTED_COLUMNS}, each once"
        )
    unwanted: Collection[str] = ("x", "y", "w", "h") if corners else ("x1", "y1", "x2", "y2")
    return {name: place for name, place in at.items() if name not in unwanted}


def _texts(folder: Path) -> list[Path]:
    found = [path for path in folder.iterdir() if path.suffix.lower() == ".txt" and not path.name.startswith(".")]
    texts = sorted(path for path in found if path.name.lower() not in _NO_LABELS)
    if not texts:
        raise AnnotateError(f"{folder}: no texts here; expected YOLO's labels, a .txt for each frame")
    return texts


def _yolo(folder: Path, texts: Sequence[Path], facts: FlightFacts, frames: Mapping[str, int]) -> Iterator[_Row]:
    """Rows `class x y width height [score]`: centre and size in shares of the frame."""
    if facts.size is None:
        raise AnnotateError(
            f"{folder}: boxes in shares of the frame, and the frames of {facts.name} have no one size"
        )
    width, height = facts.size
    names = _class_names(folder)
    for path in texts:
        frame, number = _frame(str(path), path.stem, frames)
        try:
            lines = read_regular(path).decode("utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise AnnotateError(f"{path}: cannot be read: {error}") from None
        for line, text in enumerate(lines, start=1):
            if not text.strip():
                continue
            place, fields = f"{path} line {line}", text.split()
            if len(fields) not in (5, 6):
                raise AnnotateError(f"{place}: {len(fields)} fields; expected class, x, y, width, height and score")
            kind, x, y, w, h, score = _numbers(place, [*fields, "1"][:6])
            if (
                kind < 0
                or not kind.is_integer()
                or not all(-_TOLERANCE <= each <= 1 + _TOLERANCE for each in (x, y, w, h))
            ):
                raise AnnotateError(f"{place}: expected a whole class and four shares of the frame from 0 to 1")
            bbox = [(x - w / 2) * width, (y - h / 2) * height, w * width, h * height]
            yield frame, number, _sized(place, bbox, score, names.get(int(kind), str(int(kind))))


def _class_names(folder: Path) -> dict[int, str]:
    """Class number -> name, as `classes.txt` in the folder or above it has them."""
    for place in (folder, folder.parent):
        try:
            lines = read_regular(place / "classes.txt").decode("utf-8-sig", "replace").splitlines()
        except OSError:
            continue
        return {number: line.strip() for number, line in enumerate(lines) if line.strip()}
    return {}


def _frame(place: str, given: Any, frames: Mapping[str, int]) -> tuple[int | None, int]:
    """The frame that an image's name means in the flight, if it does; and the number that was given."""
    name = str(given)
    frame = frames.get(name, frames.get(Path(name).stem))
    found = _NUMBER_AT_END.search(Path(name).stem if not name.isdecimal() else name)
    if frame is None and (found is None or (isinstance(given, float) and not given.is_integer())):
        raise AnnotateError(f"{place}: '{name[:60]}' names no frame; expected a number, or a name that ends in one")
    return frame, int(found.group(1)) if found else 0


def _numbers(place: str, values: Sequence[Any]) -> list[float]:
    try:
        found = [float(value) for value in values if not isinstance(value, bool)]
    except (TypeError, ValueError):
        found = []
    if len(found) < len(values) or not all(math.isfinite(value) and abs(value) <= _FARTHEST for value in found):
        raise AnnotateError(f"{place}: expected finite numbers, found {', '.join(map(str, values))[:80]}")
    return found


def _sized(place: str, bbox: Sequence[float], score: float, label: str) -> TrackBox:
    left, top, width, height = bbox
    if width < 0 or height < 0:
        raise AnnotateError(f"{place}: a box {width:g} wide and {height:g} high; expected no negative sides")
    return TrackBox.from_size(0, -1, (left, top, width, height), score=score, label=label)
