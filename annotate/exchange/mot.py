"""MOTChallenge's text: one box a line, `frame,id,left,top,width,height,score,…`, frames from 1 (motchallenge.net).

What follows the score decides the dialect, for the whole file:

- nothing, or −1 everywhere: results, detections, and the ground truth of 2015; every box is a person;
- three coordinates on the ground: the ground truth of 2015 with `x,y,z`;
- class and visibility: the ground truth of 2016 and later, and CVAT's with `labels.txt` beside it;
- category, truncation and occlusion, whole numbers: VisDrone-VID and -MOT, ground truth and results.

The numbers after the score stay with the box as `extra["columns"]`. Pixel coordinates are taken unchanged.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annotate.errors import AnnotateError
from annotate.exchange.records import Clip, Role, TrackBox, number
from annotate.exchange.source import Source, open_source
from annotate.files import write_text

_FORM = "expected frame,id,left,top,width,height,score,… with 6 to 10 numbers"
_UNKNOWN = [-1.0, -1.0, -1.0]  # x, y, z of results
_BETWEEN = re.compile(r"\s*[,;]\s*|\s+")
_FARTHEST = 1e9  # px, frames
# MOT16, MOT17, MOT20; the kit matches detections with those of `_DISTRACTORS` and takes them away.
_MOT_CLASSES = (
    *("person", "person on vehicle", "car", "bicycle", "motorbike", "non-motorized vehicle", "static person"),
    *("distractor", "occluder", "occluder on the ground", "full occluder", "reflection", "crowd"),
)
_DISTRACTORS = ("person on vehicle", "static person", "distractor", "reflection")
_VISDRONE = (
    *("region", "pedestrian", "people", "bicycle", "car", "van", "truck", "tricycle", "awning-tricycle", "bus"),
    *("motor", "others"),
)
_VISDRONE_PERSONS = ("pedestrian", "people")
_REGION = 0


@dataclass(frozen=True)
class _Row:
    line: int
    values: tuple[float, ...]

    @property
    def rest(self) -> tuple[float, ...]:
        """What follows the score."""
        return self.values[7:]

    @property
    def flag(self) -> float:
        return self.values[6] if len(self.values) > 6 else 1.0


_Meaning = Callable[[_Row], Mapping[str, Any]]  # a row's label, role and visibility; ValueError: not of the dialect


def read_mot(path: Path, name: str, first_frame: int = 1) -> Clip:
    """The tracks in `path`, of the flight or sequence `name`; as `parse_mot`."""
    return parse_mot(open_source(path, "mot"), name, first_frame)


def parse_mot(source: Source, name: str, first_frame: int | None = None) -> Clip:
    """The boxes of all classes in `source`, in the file's order, of the flight or sequence `name`.

    Args:
        source: the text, with what is beside it.
        name: of the clip.
        first_frame: the number of the first frame, 1 if the format's own count is kept.

    Raises:
        AnnotateError: not a text file, a row that is none, or rows of different dialects; names the line.

    """
    first = 1 if first_frame is None else first_frame
    rows = [
        _row(source.shown, line, text)
        for line, text in enumerate(source.text.splitlines(), start=1)
        if text.strip(" \t,;")
    ]
    meaning = _dialect(source, rows)
    boxes = []
    for row in rows:
        try:
            boxes.append(_box(row, meaning(row), first))
        except ValueError as error:
            raise AnnotateError(f"{source.shown} line {row.line}: {error}") from None
    told = source.sequence()
    size = (told["imwidth"], told["imheight"]) if {"imwidth", "imheight"} <= told.keys() else None
    return Clip(name, tuple(boxes), told.get("seqlength"), size)


def _row(shown: str, line: int, text: str) -> _Row:
    place = f"{shown} line {line}"
    fields = _BETWEEN.split(text.strip().rstrip(",;").strip())
    try:
        values = tuple(float(field) for field in fields)
    except ValueError:
        raise AnnotateError(f"{place}: expected numbers and commas, found '{text.strip()[:60]}'") from None
    if not 6 <= len(values) <= 10:
        raise AnnotateError(f"{place}: {_FORM}, found {len(values)} numbers in '{text.strip()[:60]}'")
    if not all(math.isfinite(value) and abs(value) <= _FARTHEST for value in values):
        raise AnnotateError(f"{place}: expected finite numbers of pixels and frames, found '{text.strip()[:60]}'")
    return _Row(line, values)


def _box(row: _Row, meaning: Mapping[str, Any], first: int) -> TrackBox:
    frame, track = row.values[:2]
    if not (frame.is_integer() and track.is_integer()) or track < -1:
        raise ValueError(f"{_FORM}, whole numbers for frame and id; found frame {frame:g}, id {track:g}")
    if frame < first:
        raise ValueError(
            f"expected frames from {first} up, found frame {frame:g}; if the file counts from {frame:g}, give "
            f"--first-frame {max(0, int(frame))}"
        )
    left, top, width, height = row.values[2:6]
    if width < 0 or height < 0:
        raise ValueError(f"expected a width and a height from 0 up, found {width:g} and {height:g}")
    columns = list(row.rest)
    extra = {} if columns == _UNKNOWN else {"columns": columns}
    bbox = (left, top, width, height)
    return TrackBox.from_size(int(frame) - first, int(track), bbox, score=row.flag, extra=extra, **meaning)


def _dialect(source: Source, rows: Sequence[_Row]) -> _Meaning:
    """The dialect of the file; it is that of its first row that tells one, and all others have to be of it."""
    telling = [row for row in rows if any(value != -1 for value in row.rest)]
    if not telling:
        return _person
    for row in rows:
        if len(row.values) != len(telling[0].values):
            raise AnnotateError(
                f"{source.shown} line {row.line}: {len(row.values)} numbers, but {len(telling[0].values)} in line "
                f"{telling[0].line}; expected rows of one form"
            )
    if len(telling[0].values) == 10:
        if all(value.is_integer() for row in telling for value in row.rest):
            return _visdrone
        return _person
    return _Classes(source.class_names(), any(0 <= row.rest[-1] <= 1 for row in telling if len(row.rest) == 2))


def _person(row: _Row) -> Mapping[str, Any]:
    return {"role": Role.UNUSED} if row.flag == 0 else {}


@dataclass(frozen=True)
class _Classes:
    """Rows with class and visibility, or with a class only."""

    names: Mapping[int, str]  # of labels.txt
    visibilities: bool

    def __call__(self, row: _Row) -> Mapping[str, Any]:
        number_of, visibility = row.rest[0], row.rest[1] if self.visibilities else 1.0
        if not number_of.is_integer() or not 0 <= visibility <= 1:
            raise ValueError(
                f"expected a whole number as class and a visibility from 0 to 1, found {number_of:g} and "
                f"{visibility:g}"
            )
        label, distractors = self._label(int(number_of)), () if self.names else _DISTRACTORS
        unused = Role.UNUSED if row.flag == 0 else Role.OBJECT
        role = Role.IGNORED if label in distractors else unused
        return {"label": label, "visibility": visibility, "role": role}

    def _label(self, of_class: int) -> str:
        if self.names:
            return self.names.get(of_class, f"class {of_class}")
        if not self.visibilities:  # a tool's own classes: MOTChallenge's come with a visibility
            return f"class {of_class}"
        if not 1 <= of_class <= len(_MOT_CLASSES):
            raise ValueError(
                f"expected MOTChallenge's classes, 1 to {len(_MOT_CLASSES)}, found {of_class}; for others put "
                "labels.txt beside gt/gt.txt: the name of class 1 on the first line, and so on"
            )
        return _MOT_CLASSES[of_class - 1]


def _visdrone(row: _Row) -> Mapping[str, Any]:
    category, truncation, occlusion = row.rest
    if category not in range(len(_VISDRONE)) or truncation not in (-1, 0, 1) or occlusion not in (-1, 0, 1, 2):
        raise ValueError(
            f"expected VisDrone's category from 0 to {len(_VISDRONE) - 1}, truncation from 0 to 1 and occlusion "
            f"from 0 to 2, as the file has three whole numbers after the score; found {category:g}, "
            f"{truncation:g}, {occlusion:g}"
        )
    label = _VISDRONE[int(category)]
    if category == _REGION:
        return {"label": label, "role": Role.REGION}
    if row.flag != 0:
        return {"label": label}
    return {"label": label, "role": Role.IGNORED if label in _VISDRONE_PERSONS else Role.UNUSED}


def write_mot(path: Path, clip: Clip) -> None:
    """Write the boxes of `clip` to `path`, in their order."""
    lines = []
    for box in clip.boxes:
        columns = box.extra.get("columns", _UNKNOWN)
        values = (box.frame + 1, box.track, *box.ltwh, box.score, *columns)
        lines.append(",".join(number(value) for value in values) + "\n")
    write_text(path, "".join(lines))
