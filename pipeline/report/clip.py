"""Stage `clip`: the stretch of a flight with most persons, boxes drawn; a stage, so that it is rendered once."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from detector.records import Detections
from pipeline.chain.table import CLIP, DETECT, TRACKS
from pipeline.config.models import ReportConfig
from pipeline.privacy.redactions import open_known_flight
from pipeline.stages.detect import detections_by_frame
from pipeline.stages.overlay import draw, write_video
from pipeline.video import Frame, Video
from pipeline.workspace.folders import locked
from pipeline.workspace.manifest import StageFolder
from pipeline.workspace.stage import Stage
from pipeline.workspace.tables import read_file

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
    progress: Callable[[str, int], AbstractContextManager[Callable[[int], None]]],
) -> Path:
    """The clip of the flight in `folder`, rendered if it is stale.

    Args:
        folder: of the flight, with finished detections.
        config: size of the clip.
        stretch: what it shows.
        boxes: detections to draw: frame, rank, x1 … y2, score.
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

    def make(there: Path) -> Mapping[str, Any]:
        video = open_known_flight(folder)
        with progress(f"{folder.name}: {CLIP.name}", len(stretch.frames)) as advance:
            return {
                "frames": _write(there / CLIP.file, video, stretch, _with_labels(folder, boxes), config, advance)
            }

    with locked(folder):
        stage = Stage(CLIP.name, StageFolder(folder / CLIP.folder), inputs, settings)
        return stage.run([CLIP.file], make).folder / CLIP.file


def _with_labels(folder: Path, boxes: pd.DataFrame) -> pd.DataFrame:
    """`boxes` with what to write beside each: the number of its tracklet, else its score."""
    scores = boxes["score"].map("{:.2f}".format)
    if not (folder / TRACKS.output).exists():
        return boxes.assign(label=scores)
    rows = boxes.merge(
        read_file(folder / TRACKS.output, ["frame", "rank", "tracklet"]), on=["frame", "rank"], how="left"
    )
    numbers = rows["tracklet"].map(lambda number: f"t{number:.0f}", na_action="ignore")
    return rows.assign(label=numbers.fillna(rows["score"].map("{:.2f}".format)))


def _write(
    path: Path,
    video: Video,
    stretch: Stretch,
    boxes: pd.DataFrame,
    config: ReportConfig,
    advance: Callable[[int], None],
) -> int:
    scale = min(1.0, config.clip_width / video.width)
    found = detections_by_frame(boxes)
    labels = {int(rows["frame"].iloc[0]): rows["label"].tolist() for _, rows in boxes.groupby("frame")}

    def picture(frame: Frame) -> NDArray[np.uint8]:
        return draw(frame.image, found.get(frame.index, Detections.empty()), scale, labels.get(frame.index))

    return write_video(
        path,
        _frames(video, stretch),
        picture,
        fps=video.fps,
        max_width=config.clip_width,
        crf=_CRF,
        advance=advance,
    )


def _frames(video: Video, stretch: Stretch) -> Iterator[Frame]:
    """The frames of the stretch; only the segments that it touches are decoded."""
    wanted = set(stretch.frames)
    for segment in video.segments:
        if segment.first <= stretch.frames[-1] and stretch.frames[0] < segment.stop:
            for frame in video.read(segment):
                if frame.index in wanted:
                    yield frame
