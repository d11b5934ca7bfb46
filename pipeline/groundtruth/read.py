"""Ground truth of a flight by frame, as text of one of three forms.

- MOTChallenge: `frame,id,left,top,width,height,flag,class,visibility`, frames from 1; the simulator writes it.
- VisDrone-VID: `frame,id,left,top,width,height,score,category,truncation,occlusion`, frames from 1.
- One target a frame: `x,y,w,h` on line n for frame n, UAV123's form.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.boxes import intersection
from pipeline.errors import PipelineError
from pipeline.files import read_regular

MIN_VISIBILITY = 0.25  # persons hidden more than this are not evaluated, and boxes on them not wrong
_REGION, _PERSONS = 0, (1, 2)  # of VisDrone's categories: not annotated in there; pedestrian, people
_VISDRONE_LAST = (11, 1, 2)  # the largest category, truncation and occlusion
_IN_REGION = 0.5  # share of a box from which it counts as inside, as in VisDrone's toolkit

_EMPTY = np.empty((0, 4))


@dataclass(frozen=True)
class Truth:
    """The persons of one frame.

    Attributes:
        boxes: float64 (n, 4) xyxy, pixels.
        evaluated: bool (n,); False for persons who do not count: too hidden, or in a region.
        identities: int64 (n,).
        regions: float64 (m, 4) xyxy, pixels, where persons are not annotated; boxes in there do not count.

    """

    boxes: NDArray[np.float64]
    evaluated: NDArray[np.bool_]
    identities: NDArray[np.int64]
    regions: NDArray[np.float64] = field(default_factory=lambda: _EMPTY)


NOBODY = Truth(_EMPTY, np.empty(0, bool), np.empty(0, np.int64))


def read_truth(path: Path) -> dict[int, Truth]:
    """Ground truth by frame index (from 0); the form is detected from the file.

    A file is VisDrone's if each row has ten numbers, of which the last three can be a category, a truncation and an
    occlusion. There, persons with score 0 are not evaluated, and what is neither person nor region is left out.

    Raises:
        PipelineError: the file is missing, or a row is of none of the forms; names file and line.

    """
    try:
        lines = read_regular(path).decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PipelineError(f"{path}: cannot be read as text: {error}") from None
    rows = [(number, _numbers(path, number, line)) for number, line in enumerate(lines, start=1) if line.strip()]
    frames: dict[int, list[list[float]]] = {}
    for number, row in rows:
        frame = number - 1 if len(row) == 4 else int(row[0]) - 1
        frames.setdefault(frame, []).append(row)
    form = _visdrone if rows and all(_may_be_visdrone(row) for _, row in rows) else _mot_or_one_target
    return {frame: form(those) for frame, those in frames.items()}


def find_truth(setting: str | Path, video: Path) -> Path | None:
    """The file with the ground truth of `video`; None where there is none.

    Args:
        setting: "off"; "auto": `flight01.gt.txt` beside `flight01.mp4`; or the file, or a folder with files named
            `flight01.gt.txt` or `flight01.txt`.
        video: file or folder of images.

    Raises:
        PipelineError: the file or folder that `setting` names does not exist.

    """
    if setting == "off":
        return None
    name, place = video.absolute().stem, Path(setting)
    if setting == "auto":
        places = [video.absolute().parent / f"{name}.gt.txt"]
    elif place.is_dir():
        places = [place / f"{name}.gt.txt", place / f"{name}.txt"]
    elif place.is_file():
        return place
    else:
        raise PipelineError(
            f"{place}: no such ground truth; expected a file or a folder, or report.truth: auto, or off"
        )
    return next((path for path in places if path.is_file()), None)


def inside(boxes: NDArray[np.floating], regions: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which boxes, xyxy (n, 4), are in one of `regions`, (m, 4), by half or more: bool (n,)."""
    area = (boxes[:, 2:] - boxes[:, :2]).astype(np.float64).prod(axis=1)
    share = intersection(boxes, regions) / np.maximum(area, 1e-9)[:, None]
    return np.asarray((share >= _IN_REGION).any(axis=1))


def _numbers(path: Path, number: int, line: str) -> list[float]:
    try:
        values = [float(value) for value in line.split(",")]
    except ValueError:
        raise PipelineError(f"{path} line {number}: expected numbers and commas, found '{line[:40]}'") from None
    if len(values) == 4 or (len(values) in (9, 10) and values[0] >= 1 and values[0].is_integer()):
        return values
    raise PipelineError(
        f"{path} line {number}: expected frame,id,left,top,width,height,flag,class,visibility (MOTChallenge), "
        f"frame,id,…,score,category,truncation,occlusion (VisDrone-VID), or x,y,w,h; found {len(values)} values"
    )


def _may_be_visdrone(row: list[float]) -> bool:
    return len(row) == 10 and all(
        value in range(last + 1) for value, last in zip(row[7:], _VISDRONE_LAST, strict=True)
    )


def _mot_or_one_target(rows: list[list[float]]) -> Truth:
    table = np.array([[*row, 1, 1, 1] if len(row) == 4 else [*row[2:7], row[8], row[1]] for row in rows])
    table = table[np.isfinite(table[:, :4]).all(axis=1)]  # UAV123 writes NaN where the target is out of view
    evaluated = (table[:, 4] > 0) & (table[:, 5] >= MIN_VISIBILITY)
    return Truth(_corners(table[:, :4]), evaluated, table[:, 6].astype(np.int64))


def _visdrone(rows: list[list[float]]) -> Truth:
    table = np.array(rows)
    regions = _corners(table[table[:, 7] == _REGION, 2:6])
    persons = table[np.isin(table[:, 7], _PERSONS)]
    boxes = _corners(persons[:, 2:6])
    evaluated = (persons[:, 6] > 0) & ~inside(boxes, regions)
    return Truth(boxes, evaluated, persons[:, 1].astype(np.int64), regions)


def _corners(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
