"""Stage `frames`: the table of a video's frames, its damage, and on request the frames as JPEGs."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import pyarrow as pa

from detector.records import Detections
from pipeline.chain.table import FRAMES
from pipeline.config.models import FramesConfig
from pipeline.engine.segment_stage import SegmentStage, SegmentWriter
from pipeline.telemetry import COLUMNS, Telemetry, TelemetrySource, no_telemetry
from pipeline.video import Damage, Frame, Segment
from pipeline.workspace.atomic import atomic_folder
from pipeline.workspace.folders import Flight
from pipeline.workspace.jpeg import write_jpeg
from pipeline.workspace.tables import SegmentTable, read_table

SCHEMA = pa.schema(
    [
        ("frame", pa.int32()),
        ("pts_s", pa.float64()),
        ("key", pa.bool_()),
        ("corrupt", pa.bool_()),
        ("lost", pa.bool_()),
        ("damage", pa.string()),  # empty where there is none, else the decoder's own words
        ("width", pa.int32()),  # of the picture in pixels; null where it is lost
        ("height", pa.int32()),
        *((name, pa.float64()) for name in COLUMNS),  # telemetry at the frame's time; null where it is not known
    ]
)


@dataclass(frozen=True)
class FramesStage(SegmentStage):
    """Fills `frames/frames.parquet`, one row a frame that the container announces, lost ones included.

    Attributes:
        config: whether JPEGs are written, and how.
        telemetry: where the telemetry is read from; None: nowhere.

    """

    config: FramesConfig
    telemetry: TelemetrySource | None

    @classmethod
    def of(
        cls, flight: Flight, inputs: Mapping[str, Any], config: FramesConfig, telemetry: TelemetrySource | None
    ) -> Self:
        """The stage of `flight`; `inputs` say how the video is read."""
        inputs = {**inputs, "telemetry": telemetry.fingerprint() if telemetry else "off"}
        settings = config.model_dump(include={"images", "stride", "quality"})
        return cls(FRAMES.name, flight.stage(FRAMES.folder), inputs, settings, config, telemetry)

    @property
    def tables(self) -> tuple[SegmentTable]:
        """The table of frames."""
        return (SegmentTable(self.folder.path / FRAMES.file, SCHEMA, self.fingerprint),)

    @cached_property
    def located(self) -> Telemetry:
        """Where the drone was."""
        return self.telemetry.read() if self.telemetry else no_telemetry()

    def write(self, segment: Segment) -> "_FramesWriter":
        """A writer for `segment`."""
        return _FramesWriter(self, segment)

    @staticmethod
    def counts(folder: Path) -> dict[str, Any]:
        """Frames, and how many of them are lost or corrupt."""
        rows = read_table(folder / FRAMES.file)
        located = int(rows[list(COLUMNS)].notna().any(axis=1).sum())
        return {
            "frames": len(rows),
            "lost": int(rows["lost"].sum()),
            "corrupt": int(rows["corrupt"].sum()),
            "last_s": float(rows["pts_s"].max()),
        } | ({"with_telemetry": located} if located else {})


class _FramesWriter(SegmentWriter):
    def __init__(self, stage: FramesStage, segment: Segment) -> None:
        super().__init__()
        self._stage, self._segment = stage, segment
        self._rows: list[dict[str, Any]] = []
        self._folder: Path | None = None
        if stage.config.images:
            images = atomic_folder(stage.folder.path / "images" / f"{segment.first:08d}")
            self._folder = self.unfinished.enter_context(images)

    def add(self, frame: Frame, detections: Detections | None) -> None:
        self._rows.append(
            {
                "frame": frame.index,
                "pts_s": frame.pts_s,
                "key": frame.key,
                "corrupt": frame.corrupt,
                "lost": False,
                "damage": "",
                "width": frame.image.shape[1],
                "height": frame.image.shape[0],
            }
        )
        if self._folder and frame.index % self._stage.config.stride == 0:
            write_jpeg(self._folder / f"{frame.index:08d}.jpg", frame.image, self._stage.config.quality)

    def finish(self, damage: Sequence[Damage]) -> None:
        self.unfinished.close()
        by_frame = {row["frame"]: row for row in self._rows}
        for one in damage:
            row = by_frame.get(one.frame)
            if row:
                row["damage"] = one.what
            else:
                by_frame[one.frame] = {
                    "frame": one.frame,
                    "pts_s": one.pts_s,
                    "key": False,
                    "corrupt": False,
                    "lost": True,
                    "damage": one.what,
                }
        rows = [by_frame[frame] for frame in sorted(by_frame)]
        located = [row | self._stage.located.at(_seconds(row["pts_s"])) for row in rows]
        (table,) = self._stage.tables
        table.write(self._segment.first, located)


def _seconds(time: float | None) -> float:
    return math.nan if time is None else time
