"""The records that all formats of tracks are read into and written from."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from annotate.records import Box

DECIMALS = 9  # of a pixel: corner + width − corner gives the same width again


@dataclass(frozen=True)
class TrackBox:
    """A person in a frame.

    Attributes:
        frame: index in the video, from 0.
        track: number of the track; -1 where a file has none.
        box: x1, y1, x2, y2 in pixels of the frame, origin at the top left, x1 <= x2 and y1 <= y2.
        score: confidence, 1 for a box that a person drew.
        label: name of the class.
        extra: the file's other fields, by the format's own names; a format writes those that it knows.

    Raises:
        ValueError: a value is not as above.

    """

    frame: int
    track: int
    box: Box
    score: float = 1.0
    label: str = "person"
    extra: Mapping[str, Any] = field(default_factory=dict)

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

    """

    name: str
    boxes: tuple[TrackBox, ...]
    length: int | None = None
    size: tuple[int, int] | None = None
    files: Mapping[int, str] = field(default_factory=dict)


def number(value: float) -> str:
    """`value` as short as it can be written at `DECIMALS` places: "12", "12.5"."""
    return f"{round(value, DECIMALS) + 0.0:.15g}"
