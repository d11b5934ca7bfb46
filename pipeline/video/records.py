"""The records of video reading: a frame, a segment, a damage, and what every open video offers."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.video.content_hash import content_hash


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of a video.

    Attributes:
        index: rank in presentation order among all frames that the container announces, lost ones included.
        pts_s: time in seconds as the container gives it; the first frame need not be at 0.
        key: whether the container marks it as a key frame.
        corrupt: whether the decoder had to make up parts of it.
        suspect: whether it may be wrong: corrupt, or predicted from frames that are lost or corrupt.
        image: uint8 (H, W, 3) RGB, turned upright.
    """

    index: int
    pts_s: float
    key: bool
    corrupt: bool
    suspect: bool
    image: NDArray[np.uint8]

    def __post_init__(self) -> None:
        if self.image.dtype != np.uint8 or self.image.ndim != 3 or self.image.shape[2] != 3:
            raise ValueError(f"an image must be uint8 (H, W, 3), this is {self.image.dtype} {self.image.shape}")


@dataclass(frozen=True)
class Run:
    """Frames that one decoder makes, from a packet on which it can start afresh.

    Attributes:
        anchor: rank of that packet in the order of the file.
        first, stop: the run ends with frame `stop` - 1 and delivers from frame `first` on.
    """

    anchor: int = 0
    first: int = 0
    stop: int = 0


@dataclass(frozen=True)
class Segment:
    """Frames `first` to `stop` - 1 of a video, the unit of random access.

    Attributes:
        number: rank of the segment.
        first, stop: range of frame indices.
        run: the decoder run that makes its frames.
    """

    number: int
    first: int
    stop: int
    run: Run = Run()


@dataclass(frozen=True)
class Damage:
    """Something wrong with one frame.

    Attributes:
        frame: index of the frame.
        pts_s: its time in seconds, None where the container does not say.
        what: the reason in one line.
        lost: whether there is no picture of it; False for one that was delivered nevertheless.
    """

    frame: int
    pts_s: float | None
    what: str
    lost: bool = True


@dataclass(eq=False, kw_only=True)
class Video(ABC):
    """An open video.

    Attributes:
        path: the file or folder.
        width, height: size in pixels of every frame delivered, after rotation.
        fps: average frames a second, for display only.
        frame_count: number of frames announced.
        codec: name of the codec.
        rotation: degrees, counter-clockwise, by which the stored pictures are turned.
        segments: all of it, in order, without gap or overlap.
        times_from: where `Frame.pts_s` comes from: "container", "decoder" (time stamps that only decoding
            brings out) or "rate" (index ÷ frame rate, for a file without usable time stamps).
    """

    path: Path
    width: int
    height: int
    fps: float
    frame_count: int
    codec: str
    rotation: int
    segments: tuple[Segment, ...]
    times_from: str

    @abstractmethod
    def read(self, segment: Segment, damage: list[Damage] | None = None) -> Iterator[Frame]:
        """The frames of `segment` in order, lost ones left out.

        When the last frame was taken, every lost, corrupt or otherwise damaged frame of the segment has been
        appended to `damage`, in order of index.

        Raises:
            PipelineError: the file is gone or has changed since it was opened.
        """

    def read_all(self, damage: list[Damage] | None = None) -> Iterator[Frame]:
        """The frames of all segments in order."""
        for segment in self.segments:
            yield from self.read(segment, damage)

    def fingerprint(self) -> str:
        """sha256 (hex) of the whole content; reads all of it."""
        return content_hash(self.path)
