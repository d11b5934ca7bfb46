"""Ground truth of a flight by frame, from MOTChallenge's or VisDrone's text, or COCO's or CVAT's tracks.

These are read by `annotate.exchange`, as `uavpipe annotate import` reads them. Besides, there may be one target a
frame: `x,y,w,h` on line n for frame n, UAV123's form.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from annotate.errors import AnnotateError
from annotate.exchange.admit import FlightFacts, Reading, admit, choose, facts_of, read_clips
from annotate.exchange.records import Role, TrackBox
from annotate.exchange.source import Source, open_source
from pipeline.boxes import intersection
from pipeline.errors import PipelineError

MIN_VISIBILITY = 0.25  # persons hidden more than this are not evaluated, and boxes on them not wrong
_IN_REGION = 0.5  # share of a box from which it counts as inside, as in VisDrone's toolkit
_OUT_OF_VIEW = "nan"  # UAV123 writes it where the target is out of view

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


@dataclass(frozen=True)
class GroundTruth:
    """A flight's ground truth.

    Attributes:
        frames: by frame index, from 0; the annotated frames only.
        account: how many boxes were read, used and left out, and by which rules.
        one_target: only one person of several is annotated, so that other detections are not wrong.
        tracked: the persons have identities.

    """

    frames: Mapping[int, Truth]
    account: str
    one_target: bool = False
    tracked: bool = True


def read_truth(path: Path) -> dict[int, Truth]:
    """The frames of `read_ground_truth`, of a file that is compared with no flight."""
    return dict(read_ground_truth(path).frames)


def read_flight_truth(
    path: Path,
    folder: Path,
    reading: Reading | None = None,
    form: str | None = None,
    min_visibility: float = MIN_VISIBILITY,
) -> GroundTruth:
    """`read_ground_truth` for the flight in `folder`."""
    try:
        facts = facts_of(folder.parent, folder.name)
    except AnnotateError as error:
        raise PipelineError(str(error)) from None
    return read_ground_truth(path, facts, reading, form, min_visibility)


def read_ground_truth(
    path: Path,
    flight: FlightFacts | None = None,
    reading: Reading | None = None,
    form: str | None = None,
    min_visibility: float = MIN_VISIBILITY,
) -> GroundTruth:
    """The ground truth in `path`; the form is detected from the file.

    Boxes after the flight's last frame are left out. Persons that the format ignores, those
    visible by less than `min_visibility` and those in a region are not evaluated.

    Args:
        path: the file, or the zip of an export.
        flight: what the file has to fit; None: it is compared with nothing.
        reading: what the user says about the file.
        form: "mot", "coco" or "cvat"; None: by the suffix, a text by default.
        min_visibility: the share of a person that has to show; 0: all persons, as TrackEval counts.

    Raises:
        PipelineError: the file cannot be read, has no person, or does not fit the flight; names file and line.

    """
    try:
        known = form or {".json": "coco", ".xml": "cvat", ".zip": None}.get(path.suffix.lower(), "mot")
        source = open_source(path, known)
        if source.form == "mot" and _is_one_target(source):
            return _one_target(source, flight)
        return _tracks(source, flight, reading or Reading(), min_visibility)
    except AnnotateError as error:
        raise PipelineError(str(error)) from None


def _tracks(source: Source, flight: FlightFacts | None, reading: Reading, min_visibility: float) -> GroundTruth:
    facts = flight or FlightFacts(Path(source.shown).stem)
    clip = choose(source, read_clips(source, reading.first_frame), facts.name, reading.task)
    found = admit(source, clip, facts, Reading(reading.persons, reading.first_frame, reading.task, beyond=True))
    boxes: dict[int, list[TrackBox]] = defaultdict(list)
    for box in found.clip.boxes:
        boxes[box.frame].append(box)
    _check_once(source.shown, boxes)
    frames = {frame: _truth(boxes[frame], min_visibility) for frame in sorted(found.frames)}
    account = f"{found.account()}; {_scored_frames(frames, facts)}{_excused(found.persons, frames, min_visibility)}"
    if flight and not any(truth.evaluated.any() for truth in frames.values()):
        raise PipelineError(f"{source.shown}: no person to evaluate: {account}")
    return GroundTruth(frames, account, tracked=any(box.track >= 0 for box in found.persons))


def _scored_frames(frames: Mapping[int, Truth], flight: FlightFacts) -> str:
    total = "" if flight.frames is None else f" of {flight.frames:,}"
    return f"{len(frames):,}{total} frames are annotated, others are not scored"


def _excused(persons: Sequence[TrackBox], frames: Mapping[int, Truth], least: float) -> str:
    """Which persons are not evaluated, by rule."""
    hidden = sum(box.visibility < least for box in persons)
    in_region = len(persons) - hidden - sum(int(truth.evaluated.sum()) for truth in frames.values())
    text = ""
    if hidden:
        text += (
            f"; not evaluated: {hidden:,} boxes of persons visible by less than {least:g} (--min-visibility 0 "
            "evaluates them, as TrackEval does)"
        )
    if in_region:
        text += f"; not evaluated: {in_region:,} boxes of persons in regions without annotations"
    return text


def _check_once(shown: str, boxes: Mapping[int, Iterable[TrackBox]]) -> None:
    for frame, here in boxes.items():
        seen: set[int] = set()
        for box in here:
            if box.role is Role.OBJECT and box.track >= 0:
                if box.track in seen:
                    raise PipelineError(
                        f"{shown}: frame {frame} (from 0) has two persons {box.track}; a ground truth has each once"
                    )
                seen.add(box.track)


def _truth(boxes: Iterable[TrackBox], min_visibility: float) -> Truth:
    regions = _array(box for box in boxes if box.role is Role.REGION)
    persons = [box for box in boxes if box.role is not Role.REGION]
    corners = _array(persons)
    counts = [box.role is Role.OBJECT and box.visibility >= min_visibility for box in persons]
    evaluated = np.array(counts, bool) & ~inside(corners, regions)
    return Truth(corners, evaluated, np.array([box.track for box in persons], np.int64), regions)


def _array(boxes: Iterable[TrackBox]) -> NDArray[np.float64]:
    return np.array([box.box for box in boxes], np.float64).reshape(-1, 4)


def _is_one_target(source: Source) -> bool:
    first = next((line for line in source.text.splitlines() if line.strip()), "")
    return len(_fields(first)) == 4


def _one_target(source: Source, flight: FlightFacts | None) -> GroundTruth:
    frames = {}
    for number, line in enumerate(source.text.splitlines()):
        if not line.strip():
            continue
        try:
            fields = _fields(line)
            seen = (
                [] if all(each.lower() == _OUT_OF_VIEW for each in fields) else [[float(each) for each in fields]]
            )
        except ValueError:
            seen = [[]]
        box = np.array([row for row in seen if len(row) == len(fields) == 4], np.float64).reshape(-1, 4)
        if len(box) < len(seen) or len(fields) != 4 or not np.isfinite(box).all() or (box[:, 2:] < 0).any():
            raise PipelineError(
                f"{source.shown} line {number + 1}: expected x,y,w,h of a target, found '{line[:40]}'"
            )
        box[:, 2:] += box[:, :2]
        frames[number] = Truth(box, np.ones(len(box), bool), np.ones(len(box), np.int64))
    if flight and flight.frames is not None and max(frames, default=-1) >= flight.frames:
        raise PipelineError(
            f"{source.shown}: {max(frames) + 1:,} lines, one a frame; the flight {flight.name} has "
            f"{flight.frames:,} frames"
        )
    count = sum(len(truth.boxes) for truth in frames.values())
    return GroundTruth(frames, f"one target, visible in {count:,} of {len(frames):,} frames", one_target=True)


def _fields(line: str) -> list[str]:
    return line.strip().rstrip(",").replace(",", " ").split()


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
        endings = (".gt.txt", ".txt", ".json", ".xml", ".zip")
        places = [place / f"{name}{ending}" for ending in endings]
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
