"""Stage `clip`: the stretch of a flight with most persons, boxes drawn; a stage, so that it is rendered once."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.chain.table import CLIP, DETECT, LABEL, TRACKS
from pipeline.config.models import ReportConfig
from pipeline.privacy.redactions import open_known_flight
from pipeline.sightings.names import Names
from pipeline.stages.overlay import frames_between, write_overlay
from pipeline.workspace.folders import locked
from pipeline.workspace.manifest import StageFolder
from pipeline.workspace.stage import Stage

_CRF = 26


@dataclass(frozen=True)
class Stretch:
    """A part of a flight.

    Attributes:
        frames: indices of its decoded frames, in order.
        begin_s, end_s: seconds since the flight's first frame.

    """

    frames: tuple[int, ...]
    begin_s: float
    end_s: float


def fullest(frames: pd.DataFrame, boxes: pd.DataFrame, seconds: float) -> Stretch | None:
    """The stretch of at most `seconds` with most of `boxes`, the first of several; None without a frame.

    Args:
        frames: the flight's table of frames.
        boxes: its detections that count.
        seconds: maximum length of the stretch.

    """
    decoded = frames[~frames["lost"] & frames["pts_s"].notna()]
    if decoded.empty:
        return None
    times, indices = decoded["pts_s"].to_numpy(), decoded["frame"].to_numpy()
    counts = boxes.groupby("frame").size().reindex(indices, fill_value=0).to_numpy()
    total = np.concatenate([[0], np.cumsum(counts)])
    stops = np.searchsorted(times, times + seconds, "right")
    best = int(np.argmax(total[stops] - total[:-1]))
    # Near the end a stretch would be cut short: so it begins earlier.
    first = min(best, int(np.searchsorted(times, times[-1] - seconds, "left")))
    last = int(stops[first]) - 1
    begin = float(frames["pts_s"].min())
    return Stretch(
        tuple(indices[first : last + 1].tolist()), float(times[first] - begin), float(times[last] - begin)
    )


def run_clip(
    folder: Path,
    config: ReportConfig,
    stretch: Stretch,
    boxes: pd.DataFrame,
    names: Names,
    progress: Callable[[str, int], AbstractContextManager[Callable[[int], None]]],
) -> Path:
    """The clip of the flight in `folder`, rendered if it is stale.

    Args:
        folder: of the flight, with finished detections.
        config: size of the clip.
        stretch: what it shows.
        boxes: detections to draw: frame, rank, x1 … y2, score.
        names: in the flight.
        progress: opens a bar.

    Raises:
        PipelineError: the video is gone, or another run uses the flight.

    """
    inputs = {
        each.folder: (StageFolder(folder / each.folder).manifest() or {}).get("fingerprint")
        for each in (DETECT, TRACKS)
    }
    settings: dict[str, Any] = {"frames": [stretch.frames[0], stretch.frames[-1]], "width": config.clip_width}
    settings["score"] = round(float(boxes["score"].min()), 4) if len(boxes) else 1.0
    if names.content:  # without labels, clips of earlier versions stay up to date
        inputs[LABEL.name] = names.content

    def make(there: Path) -> Mapping[str, Any]:
        video = open_known_flight(folder)
        with progress(f"{folder.name}: {CLIP.name}", len(stretch.frames)) as advance:
            written = write_overlay(
                there / CLIP.file,
                video,
                boxes.assign(tag=names.tags(boxes)),
                max_width=config.clip_width,
                crf=_CRF,
                advance=advance,
                frames=frames_between(video, stretch.frames),
            )
        return {"frames": written}

    with locked(folder):
        stage = Stage(CLIP.name, StageFolder(folder / CLIP.folder), inputs, settings)
        return stage.run([CLIP.file], make).folder / CLIP.file
