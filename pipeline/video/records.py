"""What reading a video gives: frames, segments, damage."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of a video.

    Attributes:
        index: place in order of presentation among all pictures that the container announces, from 0;
            damage elsewhere does not change it.
        pts_s: the container's own time stamp, in seconds.
        key: decoded without any other picture.
        corrupt: the decoder could not decode all of it and made parts up.
        image: uint8 (H, W, 3) RGB, turned as the container asks.
    """

    index: int
    pts_s: float
    key: bool
    corrupt: bool
    image: NDArray[np.uint8]

    def __post_init__(self) -> None:
        if self.image.dtype != np.uint8 or self.image.ndim != 3 or self.image.shape[2] != 3:
            raise ValueError(f"image must be uint8 (H, W, 3), not {self.image.dtype} {self.image.shape}")


@dataclass(frozen=True)
class Damage:
    """Something wrong with one frame.

    Attributes:
        frame: its index.
        pts_s: its time stamp in seconds.
        what: in the decoder's words where it has any.
        lost: there is no picture at all.
    """

    frame: int
    pts_s: float
    what: str
    lost: bool


@dataclass(frozen=True)
class Segment:
    """A stretch of frames that can be read by itself and comes out just as in a straight read.

    Attributes:
        number: from 0.
        first: index of its first frame.
        stop: index behind its last frame.
        anchor: number, in decoding order, of the packet at which a decoder has to begin for it.
    """

    number: int
    first: int
    stop: int
    anchor: int


@dataclass(frozen=True, eq=False)
class SegmentEnd:
    """Comes after the last frame of a segment, with all that was wrong in it."""

    segment: Segment
    damage: tuple[Damage, ...]


class Video(Protocol):
    """A video file or a folder of images."""

    path: Path
    width: int
    height: int
    fps: float  # average; for display and for encoding, never for time stamps
    codec: str
    frame_count: int
    segments: tuple[Segment, ...]

    def read(self, segments: Sequence[Segment]) -> Iterator[Frame | SegmentEnd]:
        """The frames of `segments` (in order of number), a `SegmentEnd` after each."""
        ...
