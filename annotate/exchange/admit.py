"""The checks of every file of tracks before it labels or scores a flight: persons, size, frames; and an account."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from annotate.errors import AnnotateError
from annotate.exchange.coco import parse_coco_tracks
from annotate.exchange.cvat import parse_cvat
from annotate.exchange.mot import parse_mot
from annotate.exchange.persons import keep_persons
from annotate.exchange.records import DECIMALS, Clip, Role, TrackBox
from annotate.exchange.source import Source
from annotate.records import count_frames, frame_size

_FEW_OUTSIDE, _FEW_MOSTLY = 20, 8  # one box in so many may be outside of the frame, or with its centre
_LARGEST_TERM = 6  # of a clean ratio of two sizes: 3 of 3840 to 1280, 3 and 2 of 1920 to 1280


@dataclass(frozen=True)
class FlightFacts:
    """What a file is compared with.

    Attributes:
        name: of the flight.
        frames: of its video; None where that is not known.
        size: width and height of its frames in pixels; None where that is not known.

    """

    name: str
    frames: int | None = None
    size: tuple[int, int] | None = None


def facts_of(workspace: Path, flight: str) -> FlightFacts:
    """What a file of `flight` in `workspace` is compared with.

    Raises:
        AnnotateError: the table of frames is damaged.

    """
    return FlightFacts(flight, count_frames(workspace, flight), frame_size(workspace, flight))


@dataclass(frozen=True)
class Reading:
    """What the user says about a file.

    Attributes:
        persons: the labels that are persons; empty: the words that mean one.
        first_frame: the number of the first frame in the file; None: the format's, or what the file tells.
        task: which task or video of the file; None: the one with the flight's name, or the only one.
        beyond: whether boxes after the flight's last frame are left out, rather than refused.

    """

    persons: Collection[str] = ()
    first_frame: int | None = None
    task: str | None = None
    beyond: bool = False


@dataclass(frozen=True)
class Admitted:
    """A file's boxes of one flight, in the flight's frames and pixels.

    Attributes:
        shown: the file, for messages.
        clip: persons, ignored persons and regions.
        frames: those in which the file has anything, of whatever label, or says that there is nothing.
        read: how many boxes the file has.
        left_out: why -> how many boxes.
        notes: what was assumed or changed.

    """

    shown: str
    clip: Clip
    frames: frozenset[int]
    read: int
    left_out: Counter[str]
    notes: tuple[str, ...] = ()

    @property
    def persons(self) -> list[TrackBox]:
        """The boxes that are persons to find."""
        return [box for box in self.clip.boxes if box.role is Role.OBJECT]

    def for_labels(self) -> "Admitted":
        """Without what can be no identity: ignored persons, regions, and boxes without a track.

        Raises:
            AnnotateError: nothing is left; the account says why.

        """
        left_out = Counter(self.left_out)
        left_out["ignored, by flag or class"] += sum(box.role is not Role.OBJECT for box in self.clip.boxes)
        left_out["without a track"] += sum(box.track < 0 for box in self.persons)
        boxes = tuple(box for box in self.persons if box.track >= 0)
        twice = len(boxes) - len({(box.frame, box.track) for box in boxes})
        notes = self.notes + (f"{twice:,} boxes have the track of another one in their frame",) * (twice > 0)
        found = replace(self, clip=replace(self.clip, boxes=boxes), left_out=left_out, notes=notes)
        if not boxes:
            remedy = "; export tracks, as 'CVAT for video 1.1'" * (left_out["without a track"] > 0)
            raise AnnotateError(f"{self.shown}: no person with a track: {found.account()}{remedy}")
        return found

    def account(self) -> str:
        """One line: boxes read, used, and left out by reason; then the notes."""
        used = len(self.clip.boxes)
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in self.left_out.most_common() if count)
        rest = f"; left out: {reasons}" if reasons else ""
        notes = "".join(f"; {note}" for note in self.notes)
        return f"{self.read:,} boxes read, {used:,} used{rest}{notes}"


def read_clips(source: Source, first_frame: int | None = None) -> list[Clip]:
    """All clips in `source`, by the one reader of its format.

    Raises:
        AnnotateError: as the readers do, or the format holds no boxes.

    """
    if source.form == "coco":
        return parse_coco_tracks(source, first_frame)
    if source.form == "cvat":
        return parse_cvat(source)
    if source.form == "mot":
        return [parse_mot(source, Path(source.shown).stem, first_frame)]
    raise AnnotateError(f"{source.shown}: a format without boxes; expected mot, coco or cvat")


def choose(source: Source, clips: Sequence[Clip], flight: str, task: str | None = None) -> Clip:
    """The clip of `flight`: the one called `task`, the only one, or the one with the flight's name.

    Raises:
        AnnotateError: there is none, or several; lists the names.

    """
    wanted = task or flight
    found = [clip for clip in clips if clip.name == wanted] or [
        clip for clip in clips if Path(clip.name).stem == wanted
    ]
    if not found and task is None and len(clips) == 1:
        found = list(clips)
    if len(found) != 1:
        names = ", ".join(clip.name for clip in clips) or "none"
        raise AnnotateError(
            f"{source.shown}: {len(found) or 'no'} tasks or videos called {wanted}, expected one; there are "
            f"{names}: name one by --task"
        )
    return found[0]


def admit(source: Source, clip: Clip, facts: FlightFacts, reading: Reading) -> Admitted:
    """The persons of `clip` in frames and pixels of the flight.

    Boxes with other labels, unused ones and stale ones are left out, and counted. A file for frames of a clean
    multiple of the flight's size is scaled.

    Raises:
        AnnotateError: the file does not tell its persons or its first frame, or does not fit the flight's size or
            number of frames; has both numbers.

    """
    left_out = Counter(clip.left_out)
    read = len(clip.boxes) + sum(left_out.values())
    objects = [box for box in clip.boxes if box.role in (Role.OBJECT, Role.UNUSED)]
    persons, others = keep_persons(source.shown, objects, reading.persons)
    left_out += others
    left_out["marked as not to be used"] += sum(box.role is Role.UNUSED for box in persons)
    kept = {id(box) for box in persons if box.role is not Role.UNUSED}
    boxes = [box for box in clip.boxes if id(box) in kept or box.role in (Role.IGNORED, Role.REGION)]
    told, clip = clip.annotated is not None, replace(clip, boxes=tuple(boxes), annotated=clip.frames)
    notes: list[str] = []
    clip = _in_frames(source.shown, clip, facts, notes)
    clip = _in_pixels(source.shown, clip, facts, notes)
    clip = _of_the_whole(source.shown, clip, facts, notes)
    clip = _within(source.shown, clip, facts, reading, left_out)
    frames = clip.frames
    clip = replace(clip, name=facts.name, annotated=frames if told else None)
    return Admitted(source.shown, clip, frames, read, left_out, tuple(notes))


def _in_frames(shown: str, clip: Clip, facts: FlightFacts, notes: list[str]) -> Clip:
    """Frames from 0, where the file does not tell its first one but the flight's length does."""
    if clip.counted_from is not None or not clip.frames:
        return clip
    highest = max(clip.frames)
    if facts.frames is None or highest != facts.frames:
        raise AnnotateError(
            f"{shown}: its frames are {min(clip.frames)} to {highest}, the flight {facts.name} has "
            f"{'an unknown number of' if facts.frames is None else facts.frames} frames: it cannot be known "
            "whether the file counts from 0 or from 1; say so by --first-frame"
        )
    notes.append("its frames count from 1")
    return replace(
        clip,
        boxes=tuple(replace(box, frame=box.frame - 1) for box in clip.boxes),
        files={frame - 1: name for frame, name in clip.files.items()},
        annotated=frozenset(frame - 1 for frame in clip.frames),
        counted_from=1,
    )


def _in_pixels(shown: str, clip: Clip, facts: FlightFacts, notes: list[str]) -> Clip:
    if facts.size is None:
        return clip
    if clip.size in (None, facts.size):
        return _plausible(shown, clip, facts)
    ratios = {Fraction(ours, theirs) for ours, theirs in zip(facts.size, clip.size, strict=True)}
    ratio = ratios.pop()
    shown_sizes = f"frames of {_times(clip.size)}, the flight {facts.name} has {_times(facts.size)}"
    if ratios or max(ratio.numerator, ratio.denominator) > _LARGEST_TERM:
        raise AnnotateError(f"{shown}: {shown_sizes}: no clean multiple; export from a task on the flight's video")
    notes.append(f"{shown_sizes}: boxes scaled by {ratio}")
    scaled = replace(clip, size=facts.size, boxes=tuple(_scaled(box, float(ratio)) for box in clip.boxes))
    return _plausible(shown, scaled, facts)


def _scaled(box: TrackBox, ratio: float) -> TrackBox:
    x1, y1, x2, y2 = (round(value * ratio, DECIMALS) for value in box.box)
    return replace(box, box=(x1, y1, x2, y2))


def _plausible(shown: str, clip: Clip, facts: FlightFacts) -> Clip:
    """Refuse boxes in pixels of a larger frame, and corners that were read as sizes: both lie outside in part."""
    width, height = facts.size or (0, 0)
    outside = sum(box.box[0] >= width or box.box[1] >= height for box in clip.boxes)
    # A second corner that was read as a size is greater than the first one, and makes boxes mostly outside.
    corners = all(box.box[2] > 2 * box.box[0] and box.box[3] > 2 * box.box[1] for box in clip.boxes)
    mostly = sum(box.box[0] + box.box[2] > 2 * width or box.box[1] + box.box[3] > 2 * height for box in clip.boxes)
    right, bottom = (max((box.box[place] for box in clip.boxes), default=0) for place in (2, 3))
    shown_sizes = (
        f"its boxes reach to {right:.0f}×{bottom:.0f} px, frames of the flight {facts.name} have {width}×{height}"
    )
    if corners and mostly >= max(1, len(clip.boxes) // _FEW_MOSTLY):
        raise AnnotateError(f"{shown}: {shown_sizes}; they seem to be two corners: write left, top, width, height")
    if outside >= max(1, len(clip.boxes) // _FEW_OUTSIDE):
        raise AnnotateError(f"{shown}: {shown_sizes}; scale the file to the flight's size")
    return clip


def _times(size: tuple[int, int]) -> str:
    return f"{size[0]}×{size[1]}"


def _of_the_whole(shown: str, clip: Clip, facts: FlightFacts, notes: list[str]) -> Clip:
    """Refuse a file on a video of another length, unless it says that it is on the flight's first frames."""
    if facts.frames is None or clip.length is None or clip.length == facts.frames:
        return clip
    lengths = f"{clip.length:,} frames, the flight {facts.name} has {facts.frames:,}"
    named = Path(clip.video).stem == facts.name and clip.size is not None and clip.size == facts.size
    if named and clip.length < facts.frames:
        notes.append(f"a task on the first {lengths}: the others are not annotated")
        return replace(clip, length=facts.frames)
    raise AnnotateError(f"{shown}: for a video of {lengths}; export from a task on the flight's whole video")


def _within(shown: str, clip: Clip, facts: FlightFacts, reading: Reading, left_out: Counter[str]) -> Clip:
    frames = facts.frames
    if frames is None:
        return clip
    last = max(clip.frames, default=0)
    if last >= frames and not reading.beyond:
        raise AnnotateError(
            f"{shown}: has frame {last:,} (from 0), the flight {facts.name} has {frames:,} frames; name the right "
            "flight, or --first-frame"
        )
    inside = tuple(box for box in clip.boxes if box.frame < frames)
    left_out[f"after the flight's last frame {frames - 1:,} (the file's is {last:,})"] += len(clip.boxes) - len(
        inside
    )
    return replace(clip, boxes=inside, annotated=frozenset(each for each in clip.frames if each < frames))
