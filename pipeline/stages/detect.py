"""Stage `detect`: every person box from the detector's floor up, with the frame's time."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from detector.records import Detections
from pipeline.engine.single_pass import PixelStage
from pipeline.video import Damage, Frame, Segment
from pipeline.workspace.tables import SegmentTable, read_table

SCHEMA = pa.schema(
    [
        ("frame", pa.int32()),
        ("pts_s", pa.float64()),
        ("rank", pa.int16()),  # place in the frame by score, from 0: with `frame` it names the detection
        ("x1", pa.float32()),
        ("y1", pa.float32()),
        ("x2", pa.float32()),
        ("y2", pa.float32()),
        ("score", pa.float32()),
    ]
)


class DetectStage(PixelStage):
    """Fills `detections/detections.parquet`, one row a box."""

    name = "detect"

    @cached_property
    def table(self) -> SegmentTable:
        """The table of detections."""
        return SegmentTable(self.folder.path / "detections.parquet", SCHEMA, self.fingerprint)

    def write(self, segment: Segment) -> "_DetectionsWriter":
        """A writer for `segment`."""
        return _DetectionsWriter(self.table, segment)

    def counts(self) -> dict[str, Any]:
        """Boxes in all and by score."""
        rows = read_table(self.table.folder)
        return {
            "boxes": len(rows),
            "boxes_from_0.5": int((rows["score"] >= 0.5).sum()),
            "boxes_from_0.8": int((rows["score"] >= 0.8).sum()),
        }


class _DetectionsWriter:
    def __init__(self, table: SegmentTable, segment: Segment) -> None:
        self._table, self._segment = table, segment
        self._rows: list[dict[str, Any]] = []

    def add(self, frame: Frame, detections: Detections | None) -> None:
        if detections is None:
            raise RuntimeError(f"frame {frame.index} reached the detect stage without detections")
        for rank, (box, score) in enumerate(zip(detections.boxes, detections.scores, strict=True)):
            x1, y1, x2, y2 = box
            self._rows.append(
                {
                    "frame": frame.index,
                    "pts_s": frame.pts_s,
                    "rank": rank,
                    "x1": x1,
                    "y1": y1,
                    "x2": x2,
                    "y2": y2,
                    "score": score,
                }
            )

    def finish(self, damage: Sequence[Damage]) -> None:
        self._table.write(self._segment.first, self._rows)


def detections_by_frame(rows: pd.DataFrame) -> dict[int, Detections]:
    """The rows of a detections table as records, by frame index; frames without a box are absent."""
    boxes = rows[["x1", "y1", "x2", "y2"]].to_numpy(np.float32)
    scores = rows["score"].to_numpy(np.float32)
    frames, starts = np.unique(rows["frame"].to_numpy(), return_index=True)
    stops = np.append(starts, len(rows))[1:]
    return {
        int(frame): Detections(boxes[start:stop], scores[start:stop])
        for frame, start, stop in zip(frames, starts, stops, strict=True)
    }


def read_detections(stage_folder: Path) -> dict[int, Detections]:
    """The detections of a finished `detect` stage by frame index."""
    return detections_by_frame(read_table(stage_folder / "detections.parquet", SCHEMA.names))
