"""The records that all formats of tracks are read into and written from."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from annotate.records import Box

DECIMALS = 9  # of a pixel: corner + width − corner gives the same width again


class Role(StrEnum):
    """What a box is good for, by the flags and classes of its format."""

    OBJECT = "object"  # of its label
    IGNORED = "ignored"  # no person to find, and a detection on it is not wrong
    REGION = "region"  # nothing is annotated in it
    UNUSED = "unused"  # marked by the file as not to be used


@dataclass(frozen=True)
class TrackBox:
    """An object in a frame.

    Attributes:
        frame: index in the video, from 0.
        track: number of the track; -1 where a file has none.
        box: x1, y1, x2, y2 in pixels of the frame, origin at the top left, x1 <= x2 and y1 <= y2.
        score: confidence, 1 for a box that a person drew.
        label: name of the class.
        extra: the file's other fields, by the format's own names; a format writes those that it knows.
        role: see `Role`.
        visibility: share of the person that shows, 0 to 1; 1 where the file has none.

    Raises:
        ValueError: a value is not as above.

    """

    frame: int
    track: int
    box: Box
    score: float = 1.0
    label: str = "person"
    extra: Mapping[str, Any] = field(default_factory=dict)
    role: Role = Role.OBJECT
    visibility: float = 1.0

    def __post_init__(self) -> None:
        if self.frame < 0 or self.track < -1:
            raise ValueError(f"frame {self.frame}, track {self.track}: expected numbers from 0 up")
        x1, y1, x2, y2 = self.box
        if not all(map(math.isfinite, (*self.box, self.score))) or x1 > x2 or y1 > y2:
            raise ValueError(f"box {self.box}, score {self.score}: expected finite numbers, no negative size")

    @classmethod
    def from_size(cls, frame: int, track: int, bbox: tuple[float, float, float, float], **more: Any) -> "TrackBox":
        """As the constructor, from left, top, width, height."""
        left, top, width, height = bbox
        return cls(frame, track, (left, top, round(left + width, DECIMALS), round(top + height, DECIMALS)), **more)

    @property
    def ltwh(self) -> tuple[float, float, float, float]:
        """Left, top, width, height in pixels."""
        x1, y1, x2, y2 = self.box
        return x1, y1, round(x2 - x1, DECIMALS), round(y2 - y1, DECIMALS)


@dataclass(frozen=True)
class Clip:
    """A video and the boxes in it.

    Attributes:
        name: of the flight or sequence.
        boxes: in the file's order.
        length: frames; None where it is not known.
        size: width and height of a frame in pixels; None where it is not known.
        files: frame -> its picture's file name, where the frames are pictures.
        annotated: the frames that the file is about; None: those that have a box.
        counted_from: the number of the first frame in the file; None where the file does not tell: then `boxes`
            and `files` have the file's own numbers.
        left_out: what the reader could not use -> how many.
        video: file name of the video that `length` frames from its first one on were annotated of; "": all of it.

    """

    name: str
    boxes: tuple[TrackBox, ...]
    length: int | None = None
    size: tuple[int, int] | None = None
    files: Mapping[int, str] = field(default_factory=dict)
    annotated: frozenset[int] | None = None
    counted_from: int | None = 0
    left_out: Mapping[str, int] = field(default_factory=dict)
    video: str = ""

    @property
    def frames(self) -> frozenset[int]:
        """The annotated frames: `annotated`, or those that have a box."""
        return frozenset(box.frame for box in self.boxes) if self.annotated is None else self.annotated


def number(value: float) -> str:
    """`value` as short as it can be written at `DECIMALS` places: "12", "12.5"."""
    return f"{round(value, DECIMALS) + 0.0:.15g}"
