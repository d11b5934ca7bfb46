"""One flight that the recorder cut into several files, read as one video: frame numbers and times run on.

Recorders begin a new file at 4 GB, and its time stamps begin at 0 again. A part's first frame follows the last one
of the part before it after that one's usual duration.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import PipelineError
from pipeline.video.content_hash import content_hash
from pipeline.video.file import VideoFile, open_file
from pipeline.video.recording import what_is_wrong_between
from pipeline.video.records import Damage, Frame, Segment, Video

_SAME_RATE = 0.02  # of the rate: parts of one recording differ by the rounding of their time stamps
_EXPECTED = "parts of one flight have one size and rate: take it out of 'parts:'"

log = logging.getLogger("uavpipe")


def open_parts(paths: Sequence[Path], segment_frames: int = 256, threads: int | None = None) -> "VideoParts":
    """Open the files of one flight, in the order of `paths`.

    Raises:
        PipelineError: a part is a folder or cannot be read, or is of another size or rate than the first one.
    """
    files: list[VideoFile] = []
    for path in paths:
        if path.is_dir():
            raise PipelineError(f"{path}: is a folder; a part of a flight is a video file")
        files.append(open_file(path, segment_frames, threads, files[0] if files else None))
        _check_alike(files[0], files[-1])
    for before, after in pairwise(paths):
        if wrong := what_is_wrong_between(before, after):
            log.warning("%s: %s", after, wrong)
    first = files[0]
    times = tuple(_running_on(files))
    begins = np.cumsum([0, *(file.frame_count for file in files)])
    span = float(times[-1][-1] - times[0][0])
    moved = [
        replace(segment, first=segment.first + int(begin), stop=segment.stop + int(begin))
        for file, begin in zip(files, begins[:-1], strict=True)
        for segment in file.segments
    ]
    return VideoParts(
        path=first.path,
        width=first.width,
        height=first.height,
        fps=(int(begins[-1]) - 1) / span if span > 0 else first.fps,
        frame_count=int(begins[-1]),
        codec=first.codec,
        rotation=first.rotation,
        segments=tuple(replace(segment, number=number) for number, segment in enumerate(moved)),
        times_from=first.times_from,
        files=tuple(files),
        times=times,
    )


def _check_alike(first: VideoFile, other: VideoFile) -> None:
    sizes = [f"{file.width}x{file.height}" for file in (first, other)]
    if sizes[0] != sizes[1]:
        raise PipelineError(
            f"{other.path}: its frames are {sizes[1]}, those of {first.path} {sizes[0]}; {_EXPECTED}"
        )
    if other.frame_count > 1 and abs(other.fps - first.fps) > _SAME_RATE * first.fps:
        raise PipelineError(
            f"{other.path}: has {other.fps:.6g} frames a second, {first.path} {first.fps:.6g}; {_EXPECTED}"
        )


def _running_on(files: Sequence[VideoFile]) -> Iterator[NDArray[np.float64]]:
    """Seconds (n,) of the frames of each file, on the clock of the first."""
    end: Fraction | None = None
    for file in files:
        pts = _exact_times(file)
        offset = Fraction(0) if end is None else end - pts[0]
        yield np.array([float(time + offset) for time in pts])
        end = pts[-1] + offset + _usual_step(pts, file)


def _exact_times(file: VideoFile) -> list[Fraction]:
    if file.table.pts is None:
        return [Fraction(float(time)) for time in file.table.times]
    return [int(pts) * file.time_base for pts in file.table.pts]


def _usual_step(times: Sequence[Fraction], file: VideoFile) -> Fraction:
    """The median time between two frames; of a single frame what the rate says."""
    steps = sorted(after - before for before, after in pairwise(times))
    return steps[len(steps) // 2] if steps else 1 / Fraction(file.fps)


@dataclass(eq=False, kw_only=True)
class VideoParts(Video):
    """The open parts of one flight; see `Video`. `path` is the first part's.

    Attributes:
        files: the parts.
        times: float64 (n,) for each part: seconds of its frames, on the clock of the first part.
    """

    files: tuple[VideoFile, ...] = field(repr=False)
    times: tuple[NDArray[np.float64], ...] = field(repr=False)

    def read(self, segment: Segment, damage: list[Damage] | None = None) -> Iterator[Frame]:
        """The frames of `segment`; see `Video.read`."""
        file, times, own = self._own[segment.number]
        begin = segment.first - own.first
        found: list[Damage] = []
        for frame in file.read(own, found):
            yield replace(frame, index=frame.index + begin, pts_s=float(times[frame.index]))
        if damage is not None:
            for one in found:
                damage.append(replace(one, frame=one.frame + begin, pts_s=float(times[one.frame])))

    @property
    def offsets(self) -> list[float]:
        """Seconds that each part's own times are behind the clock of the first part."""
        return [float(own[0] - file.table.times[0]) for file, own in zip(self.files, self.times, strict=True)]

    @property
    def end_s(self) -> float:
        """When the last frame ends, in seconds."""
        return float(self.times[-1][-1]) + 1 / self.fps

    def fingerprint(self) -> str:
        """See `Video.fingerprint`."""
        return content_hash([file.path for file in self.files])

    @property
    def _own(self) -> list[tuple[VideoFile, NDArray[np.float64], Segment]]:
        """The part of each segment, its times, and the segment within it."""
        return list(
            chain.from_iterable(
                [(file, times, segment) for segment in file.segments]
                for file, times in zip(self.files, self.times, strict=True)
            )
        )
