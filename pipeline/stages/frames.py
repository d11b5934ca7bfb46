"""Stage `frames`: the table of a video's frames, its damage, and on request the frames as JPEGs."""

import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
import pyarrow as pa

from detector.records import Detections
from pipeline.chain.table import FRAMES
from pipeline.config.models import FramesConfig
from pipeline.engine.segment_stage import SegmentStage, SegmentWriter
from pipeline.telemetry import COLUMNS, Source, Telemetry, no_telemetry
from pipeline.video import Damage, Frame, Segment
from pipeline.workspace.atomic import atomic_folder
from pipeline.workspace.folders import Flight
from pipeline.workspace.jpeg import write_jpeg
from pipeline.workspace.manifest import StageFolder
from pipeline.workspace.promises import Advance, Broken, check_image, read_columns
from pipeline.workspace.tables import read_file, read_table

SCHEMA = pa.schema(
    [
        ("frame", pa.int32()),
        ("pts_s", pa.float64()),
        ("key", pa.bool_()),
        ("corrupt", pa.bool_()),
        ("lost", pa.bool_()),
        ("suspect", pa.bool_()),  # it may be wrong: corrupt, or predicted from frames that are lost or corrupt
        ("damage", pa.string()),  # empty where there is none, else the decoder's own words
        ("width", pa.int32()),  # of the picture in pixels; null where it is lost
        ("height", pa.int32()),
        *((name, pa.float64()) for name in COLUMNS),  # telemetry at the frame's time; null where it is not known
    ]
)


class _FramesWriter(SegmentWriter["FramesStage"]):
    def __init__(self, stage: "FramesStage", segment: Segment) -> None:
        super().__init__(stage, segment)
        self._located = stage.located  # now: later other threads ask for it
        self._folder: Path | None = None
        if stage.config.images:
            path = stage.folder.path / "images" / f"{segment.first:08d}"
            self._folder = self.unfinished.enter_context(atomic_folder(path, r"\d{8}\.jpg", shared=True))

    def add(self, frame: Frame, detections: Detections | None) -> None:
        self.rows.append(
            {
                "frame": frame.index,
                "pts_s": frame.pts_s,
                "key": frame.key,
                "corrupt": frame.corrupt,
                "lost": False,
                "suspect": frame.suspect,
                "damage": "",
                "width": frame.image.shape[1],
                "height": frame.image.shape[0],
            }
        )
        if self._folder and frame.index % self.stage.config.stride == 0:
            write_jpeg(self._folder / f"{frame.index:08d}.jpg", frame.image, self.stage.config.quality)

    def finish(self, damage: Sequence[Damage]) -> None:
        by_frame = {row["frame"]: row for row in self.rows}
        for one in damage:
            row = by_frame.get(one.frame)
            if row:
                row["damage"] = one.what
            else:
                lost = {"key": False, "corrupt": False, "lost": True, "suspect": False, "damage": one.what}
                by_frame[one.frame] = {"frame": one.frame, "pts_s": one.pts_s, **lost}
        rows = [by_frame[frame] for frame in sorted(by_frame)]
        self.rows = [row | self._located.at(_seconds(row["pts_s"])) for row in rows]
        super().finish(damage)


@dataclass(frozen=True)
class FramesStage(SegmentStage):
    """Fills `frames/frames.parquet`, one row a frame that the container announces, lost ones included.

    Attributes:
        config: whether JPEGs are written, and how.
        telemetry: where the telemetry is read from; None: nowhere.

    """

    schemas: ClassVar = {FRAMES.file: SCHEMA}
    added: ClassVar = {"suspect": lambda rows: rows["corrupt"]}
    writer = _FramesWriter
    config: FramesConfig
    telemetry: Source | None

    @classmethod
    def of(cls, flight: Flight, inputs: Mapping[str, Any], config: FramesConfig, telemetry: Source | None) -> Self:
        """The stage of `flight`; `inputs` say how the video is read."""
        inputs = {**inputs, "telemetry": telemetry.fingerprint() if telemetry else "off"}
        settings = config.model_dump(include={"images", "stride", "quality"})
        return cls(FRAMES.name, flight.stage(FRAMES.folder), inputs, settings, config, telemetry)

    @cached_property
    def located(self) -> Telemetry:
        """Where the drone was."""
        return self.telemetry.telemetry if self.telemetry else no_telemetry()

    def is_done(self, segment: Segment) -> bool:
        """Whether the segment's rows are there, and its images where they are to be written."""
        return super().is_done(segment) and self._has_images(segment.first)

    def is_current(self) -> bool:
        """Whether the stage was finished from these inputs and settings, and no file is damaged or missing."""
        files = (self.folder.manifest() or {}).get("files", ())
        return super().is_current() and all(self._has_images(_first(name)) for name in files)

    def _has_images(self, first: int) -> bool:
        if not self.config.images:
            return True
        rows = self.tables[0].read(first)
        there = {path.name for path in (self.folder.path / "images" / f"{first:08d}").glob("*.jpg")}
        written = rows.loc[~rows["lost"] & (rows["frame"] % self.config.stride == 0), "frame"]
        return {f"{frame:08d}.jpg" for frame in written} <= there

    @classmethod
    def broken(cls, flight: Path, folder: StageFolder, advance: Advance) -> Iterator[Broken]:
        """See `SegmentStage`: the frames have no gap, and those that were to be written are there."""
        yield from super().broken(flight, folder, advance)
        table = folder.path / FRAMES.file
        rows = read_columns(table, ("frame", "lost"))
        if not np.array_equal(rows["frame"], np.arange(len(rows["frame"]))):
            yield Broken(table, "its frames are not 0, 1, 2 and so on")
        manifest = folder.manifest() or {}
        if not manifest["section"].get("images"):
            return
        firsts = sorted(_first(name) for name in manifest["files"])
        stride = manifest["section"].get("stride", 1)
        for frame in rows["frame"][~rows["lost"].astype(bool)].tolist():
            if frame % stride == 0:
                segment = firsts[bisect_right(firsts, frame) - 1]
                broken = check_image(folder.path / "images" / f"{segment:08d}" / f"{frame:08d}.jpg", None, None)
                advance(1)
                if broken:
                    yield broken

    @staticmethod
    def counts(folder: Path) -> dict[str, Any]:
        """Frames, and how many of them are lost, corrupt or suspect."""
        rows = read_table(folder / FRAMES.file)
        located = int(rows[list(COLUMNS)].notna().any(axis=1).sum())
        return {
            "frames": len(rows),
            "lost": int(rows["lost"].sum()),
            "corrupt": int(rows["corrupt"].sum()),
            # A table from before there was the column counts as it was counted then.
            **({"suspect": int(rows["suspect"].sum())} if "suspect" in rows else {}),
            "last_s": float(rows["pts_s"].max()),
        } | ({"with_telemetry": located} if located else {})


def _first(part: str) -> int:
    """The first frame of the segment of the file `part`."""
    return int(Path(part).stem.removeprefix("part-"))


def read_frames(flight_folder: Path, columns: Sequence[str] = ()) -> pd.DataFrame:
    """The table of frames of a flight; in one that was made before frames were called suspect, corrupt ones are.

    Raises:
        PipelineError: it is not there, damaged, or lacks one of `columns`.

    """
    rows = read_file(flight_folder / FRAMES.output, [name for name in columns if name != "suspect"])
    return rows if "suspect" in rows else rows.assign(suspect=rows["corrupt"])


def _seconds(time: float | None) -> float:
    return math.nan if time is None else time
