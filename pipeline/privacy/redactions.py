"""Redactions: the boxes of erased persons, which are painted over whenever the video is read.

`forgotten.json` in a flight's folder contains boxes by frame, no name and no picture. The workspace reads every
video through `open_redacted`, so that no stage that runs again restores the person.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path

import numpy as np

from pipeline.chain.table import FRAMES
from pipeline.errors import PipelineError
from pipeline.privacy.redact import Boxes, paint_over
from pipeline.video import Damage, Frame, Segment, Video, open_video
from pipeline.workspace.atomic import read_json
from pipeline.workspace.folders import parts_of, read_card
from pipeline.workspace.manifest import StageFolder

FILE = "forgotten.json"


def read_redactions(flight: Path) -> dict[int, Boxes]:
    """The redacted boxes (float32 (n, 4) xyxy, px) by frame of the flight in folder `flight`.

    Raises:
        PipelineError: the file is damaged; without it the person would be visible again.

    """
    path = flight / FILE
    if not path.exists():
        return {}
    content = read_json(path) or {}
    try:
        found = {
            int(frame): np.array(boxes, np.float32).reshape(-1, 4) for frame, boxes in content["frames"].items()
        }
        if all(np.isfinite(boxes).all() for boxes in found.values()):
            return found
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        pass
    raise PipelineError(f"{path}: damaged; it lists the boxes to redact: restore it from a copy")


def open_redacted(
    video: Path | Sequence[Path],
    flight: Path,
    *,
    segment_frames: int = 256,
    image_fps: float = 30.0,
    open_with: Callable[..., Video] = open_video,
) -> Video:
    """The video of the flight in folder `flight`, redacted; arguments as `open_video`, or what replaces it."""
    opened = open_with(video, segment_frames=segment_frames, image_fps=image_fps)
    forgotten = read_redactions(flight)
    return _Redacted(opened, forgotten) if forgotten else opened


def open_known_flight(flight: Path) -> Video:
    """The video of the finished stages in folder `flight`, redacted.

    Raises:
        PipelineError: no video of it is known, or it is gone.

    """
    card = read_card(flight)
    if card is None:
        raise PipelineError(f"{flight}: no video of it is known; name a flight's folder in the workspace")
    reading = (StageFolder(flight / FRAMES.folder).manifest() or {}).get("inputs", {})
    return open_redacted(parts_of(card), flight, image_fps=reading.get("image_fps", 30.0))


class _Redacted(Video):
    """A video with boxes painted over."""

    def __init__(self, video: Video, boxes: Mapping[int, Boxes]) -> None:
        super().__init__(**{field.name: getattr(video, field.name) for field in fields(Video)})
        self._video, self._boxes = video, boxes

    def read(self, segment: Segment, damage: list[Damage] | None = None) -> Iterator[Frame]:
        """The frames of `segment`; see `Video.read`."""
        for frame in self._video.read(segment, damage):
            boxes = self._boxes.get(frame.index)
            yield frame if boxes is None else replace(frame, image=paint_over(frame.image, boxes))
