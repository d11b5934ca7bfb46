"""What is left of somebody who was forgotten: where in which frames nothing may be seen any more.

`forgotten.json` in a flight's folder holds boxes by frame, no name and no picture. Every reading of the video for
the workspace goes through `open_redacted`, which paints them over, so that no stage that is run again brings the
person back.
"""

from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path

import numpy as np

from pipeline.chain.table import FRAMES
from pipeline.errors import PipelineError
from pipeline.privacy.redact import Boxes, paint_over
from pipeline.video import Damage, Frame, Segment, Video, open_video
from pipeline.workspace.atomic import read_json
from pipeline.workspace.folders import read_card
from pipeline.workspace.manifest import StageFolder

FILE = "forgotten.json"


def read_redactions(flight: Path) -> dict[int, Boxes]:
    """The boxes (float32 (n, 4) xyxy, px) by frame that nobody may see of the flight in folder `flight`.

    Raises:
        PipelineError: the file is damaged; without it the person would come back.

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
    raise PipelineError(f"{path}: damaged; it says who must not be seen again: restore it from a copy")


def open_redacted(video: Path, flight: Path, *, segment_frames: int = 256, image_fps: float = 30.0) -> Video:
    """The video of the flight in folder `flight` as the workspace may see it: see `open_video`."""
    opened = open_video(video, segment_frames=segment_frames, image_fps=image_fps)
    forgotten = read_redactions(flight)
    return _Redacted(opened, forgotten) if forgotten else opened


def open_known_flight(flight: Path) -> Video:
    """The video that the finished stages in folder `flight` were made from.

    Raises:
        PipelineError: no video of it is known, or it is gone.

    """
    card = read_card(flight)
    if card is None:
        raise PipelineError(f"{flight}: no video of it is known; name a flight's folder in the workspace")
    reading = (StageFolder(flight / FRAMES.folder).manifest() or {}).get("inputs", {})
    return open_redacted(Path(card["video"]), flight, image_fps=reading.get("image_fps", 30.0))


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
