"""The shared clip: a flight's video with its people unrecognisable, without boxes, sound or metadata."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from detector.records import Detections
from pipeline.chain.table import DETECT, FRAMES, TRACKS
from pipeline.errors import PipelineError
from pipeline.privacy.redact import Boxes, follow, pixelate
from pipeline.privacy.redactions import open_known_flight
from pipeline.stages.detect import read_detections
from pipeline.stages.overlay import write_video
from pipeline.stages.tracks import read_tracked
from pipeline.video import Frame
from pipeline.workspace.entries import MANIFEST
from pipeline.workspace.folders import locked, parts_of, read_card
from pipeline.workspace.tables import read_table

FOLDER = "export"  # of a flight: its shared clips
Blur = Literal["people", "faces"]


def anonymize(
    flight: Path,
    output: Path,
    blur: Blur,
    *,
    score: float,
    max_width: int,
    progress: Callable[[int], None] = lambda count: None,
) -> int:
    """Write the redacted video of `flight`, a folder in a workspace, to `output` (H.264 in mp4).

    Args:
        flight: with finished detections; with tracklets people are hidden also where the detector missed them.
        output: the clip; not the video itself.
        blur: whole persons, or the upper part of their boxes.
        score: every detection from this score up is hidden.
        max_width: of the clip, px.
        progress: called with the number of frames written.

    Returns:
        The number of frames.

    Raises:
        PipelineError: there are no detections, another run uses the flight, the video is gone, or `output` is not a
            new .mp4.

    """
    if not (flight / DETECT.folder / MANIFEST).exists():
        raise PipelineError(f"{flight}: no finished detections here; run 'uavpipe detect' first")
    card = read_card(flight)
    if card is not None and output.exists() and any(map(output.samefile, parts_of(card))):
        raise PipelineError(f"{output}: is the flight's own video; name another file")
    if output.suffix.lower() != ".mp4":
        raise PipelineError(f"{output}: expected a name that ends in .mp4")
    with locked(flight):
        return _write(flight, output, blur, score, max_width, progress)


def _write(
    flight: Path, output: Path, blur: Blur, score: float, max_width: int, progress: Callable[[int], None]
) -> int:
    video = open_known_flight(flight)
    hidden = people_of(flight, score)
    nobody = Detections.empty().boxes

    def picture(frame: Frame) -> NDArray[np.uint8]:
        return pixelate(frame.image, hidden.get(frame.index, nobody), heads=blur == "faces")

    output.parent.mkdir(parents=True, exist_ok=True)
    return write_video(
        output, video.read_all(), picture, fps=video.fps, max_width=max_width, crf=23, advance=progress
    )


def people_of(flight: Path, score: float) -> Mapping[int, Boxes]:
    """All detections of `flight` from `score` up, and its tracklets between them: float32 (n, 4) by frame."""
    hidden: dict[int, list[Boxes]] = {
        frame: [found.above(score).boxes] for frame, found in read_detections(flight / DETECT.folder).items()
    }
    if (flight / TRACKS.output).exists():
        rows = read_table(flight / FRAMES.output, ["frame", "pts_s"]).dropna(subset=["pts_s"])
        times = dict(zip(rows["frame"].tolist(), rows["pts_s"].tolist(), strict=True))
        for frame, boxes in follow(read_tracked(flight), times).items():
            hidden.setdefault(frame, []).append(boxes)
    return {frame: np.concatenate(boxes) for frame, boxes in hidden.items()}
