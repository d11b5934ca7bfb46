"""Stage `tracks`: which detection belongs to which tracklet."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from pipeline.boxes import Tracked
from pipeline.chain.table import APPEARANCE, DETECT, MOTION, TRACKS
from pipeline.config.models import TracksConfig
from pipeline.stages.appearance import read_descriptors
from pipeline.stages.detect import SCHEMA, read_detections
from pipeline.stages.frames import read_frames
from pipeline.stages.joining import join
from pipeline.stages.misfit import unlike_before
from pipeline.stages.motion import read_misfit, read_motion
from pipeline.stages.tracking import link, split_at_jumps
from pipeline.workspace.atomic import atomic_file
from pipeline.workspace.folders import Flight
from pipeline.workspace.manifest import StageFolder
from pipeline.workspace.promises import Advance, Broken, check_detections, read_columns
from pipeline.workspace.stage import Stage
from pipeline.workspace.tables import read_file, read_table


@dataclass(frozen=True)
class TracksStage(Stage):
    """Writes `tracks/tracklets.parquet`, one row a detection of a tracklet.

    Attributes:
        config: of the tracker.

    """

    former_names = TracksConfig.former_names
    config: TracksConfig

    @classmethod
    def of(cls, flight: Flight, config: TracksConfig, made_from: Iterable[Stage]) -> Self:
        """The stage of `flight`; of `made_from`, the stages before it, those count that the chain's table names."""
        inputs = {stage.name: stage.fingerprint for stage in made_from if stage.name in TRACKS.needs}
        return cls(TRACKS.name, flight.stage(TRACKS.folder), inputs, config.model_dump(), config)

    @classmethod
    def broken(cls, flight: Path, folder: StageFolder, advance: Advance) -> Iterator[Broken]:
        """As `SegmentStage.broken`: what is linked is a detection, once, and a tracklet has one in a frame."""
        table = folder.path / TRACKS.file
        yield from check_detections(table, flight / DETECT.output)
        rows = read_columns(table, ("tracklet", "frame"))
        if len(np.unique(np.stack([rows["tracklet"], rows["frame"]]), axis=1).T) < len(rows["frame"]):
            yield Broken(table, "a tracklet has two detections in one frame")

    @staticmethod
    def counts(folder: Path) -> dict[str, Any]:
        """Tracklets, their detections and their median length."""
        lengths = read_file(folder / TRACKS.file, ["tracklet"]).groupby("tracklet").size()
        median = float(lengths.median()) if len(lengths) else 0.0
        return {"tracklets": len(lengths), "detections": int(lengths.sum()), "median_length": median}


def write_tracklets(flight: Flight, config: TracksConfig) -> dict[str, Any]:
    """Link the detections of `flight` and write `tracks/tracklets.parquet`: tracklet, frame, rank, suspect.

    Returns:
        What was found, for the manifest.

    """
    tracklets = link_flight(flight, config)
    path = flight.folder / TRACKS.output
    with atomic_file(path) as temporary:
        tracklets.to_parquet(temporary, index=False)
    return TracksStage.counts(path.parent)


def link_flight(flight: Flight, config: TracksConfig) -> pd.DataFrame:
    """The tracklets of `flight`, whose other stages are finished: tracklet, frame, rank, suspect."""
    frames = read_frames(flight.folder)
    decoded = frames[~frames["lost"]]
    times = dict(zip(decoded["frame"].tolist(), decoded["pts_s"].tolist(), strict=True))
    detections = read_detections(flight.stage(DETECT.folder).path)
    motion = read_motion(flight.stage(MOTION.folder).path)
    looks = read_descriptors(flight.stage(APPEARANCE.folder).path)
    pieces = split_at_jumps(link(detections, motion, times, config), looks, config)
    tracklets = join(pieces, detections, motion, times, looks, config)
    suspect = set(frames.loc[frames["suspect"], "frame"].tolist())
    suspect |= unlike_before(
        read_misfit(flight.stage(MOTION.folder).path),
        dict(zip(decoded["frame"].tolist(), decoded["key"].tolist(), strict=True)),
        suspect,
    )
    return tracklets.assign(suspect=tracklets["frame"].isin(suspect))


def read_tracked(flight_folder: Path) -> dict[int, Tracked]:
    """The boxes of the finished `tracks` stage by frame index."""
    rows = read_file(flight_folder / TRACKS.output, ["tracklet", "frame", "rank"]).merge(
        read_table(flight_folder / DETECT.output, SCHEMA.names), on=["frame", "rank"]
    )
    return {
        frame: Tracked(those[["x1", "y1", "x2", "y2"]].to_numpy(np.float32), those["tracklet"].to_numpy(np.int64))
        for frame, those in ((int(those["frame"].iloc[0]), those) for _, those in rows.groupby("frame"))
    }
