"""Warnings of results that nobody can use: nothing found, nothing kept, frames too far apart, no telemetry."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.chain.table import CROPS, DETECT, FRAMES
from pipeline.config.models import FlightConfig, TracksConfig
from pipeline.stages.frames import read_frames
from pipeline.stages.standstill import standstill
from pipeline.workspace.stage import StageResult
from pipeline.workspace.tables import read_file

_FEW = 0.25  # share of the boxes from 0.5 up: if fewer reach the threshold, their scores mean something else
_FEWEST = 2  # times between frames that a tracklet must be able to wait to be one

log = logging.getLogger("uavpipe")


def warn_of_nothing(results: Sequence[StageResult], config: FlightConfig, video: Path) -> None:
    """Warn of finished segment stages in which nothing was found or kept, and say which setting decides it."""
    found = {result.stage: result for result in results}
    detect, crops = found.get(DETECT.name), found.get(CROPS.name)
    if detect and not detect.counts["boxes"]:
        log.warning(
            "%s: no person was detected; see the frames with `uavpipe frames --images`, or take other weights",
            video,
        )
    elif detect and crops and not crops.counts["crops"]:
        rows = read_file(detect.folder / DETECT.file, ["score", "y1", "y2"])
        heights = rows["y2"] - rows["y1"]
        log.warning(
            "%s: %d detections, none became a crop; detector.threshold is %g, their highest score %.2f; "
            "crops.min_height is %g px, their greatest height %.0f px",
            *(video, len(rows), config.detector.threshold, rows["score"].max()),
            *(config.crops.min_height, heights.max()),
        )
    elif detect and crops and crops.counts["crops"] < _FEW * (likely := detect.counts.get("boxes_from_0.5", 0)):
        scores = read_file(detect.folder / DETECT.file, ["score"])["score"]
        kept = int((scores >= config.detector.threshold).sum())
        if kept < _FEW * likely:  # else stride or size of the crops left them out
            log.warning(
                "%s: of %d detections with a score of 0.5 or more, %d have detector.threshold, %g, or more, and "
                "can be crops; another detector's scores mean something else: try detector.threshold=0.5",
                *(video, likely, kept, config.detector.threshold),
            )
    if config.crops.person_m is not None and crops and "with_telemetry" not in found[FRAMES.name].counts:
        log.warning("%s: no frame has telemetry, so crops.person_m leaves no box out", video)


def warn_of_standstill(flight: Path) -> None:
    """Warn where nothing moves in `flight`."""
    if said := standstill(flight):
        log.warning("%s: %s", flight, said)


def warn_of_gaps(flight: Path, config: TracksConfig) -> None:
    """Warn where the frames of `flight` are so far apart that no tracklet lives until the next one."""
    frames = read_frames(flight)
    times = frames.loc[~frames["lost"], "pts_s"].dropna().to_numpy(np.float64)
    interval = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    if interval * _FEWEST > config.max_gap_s and len(times) > 1 and interval > 0:
        log.warning(
            "%s: frames are %.3g s apart, but tracks.max_gap_s ends a tracklet after %g s; set it to %.3g or more",
            *(flight, interval, config.max_gap_s, 5 * interval),
        )
