"""Stage `detect`: every person box from the detector's floor up, with the frame's time."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
import pyarrow as pa

from detector.config import DetectorConfig
from detector.precision import precision_of
from detector.records import Detections
from pipeline.chain.table import DETECT, FRAMES
from pipeline.engine.segment_stage import SegmentStage, SegmentWriter
from pipeline.errors import PipelineError
from pipeline.video import Frame, Segment
from pipeline.workspace.folders import Flight
from pipeline.workspace.manifest import StageFolder
from pipeline.workspace.promises import Advance, Broken, check_detections, check_frames
from pipeline.workspace.tables import read_table

# Settings that say where and when to work, not what comes out: changing them leaves results valid.
_NOT_IN_RESULT = dict.fromkeys(("threshold", "weights", "preset", "device", "batch_size"), True) | {
    "detectron2": {"config_file"}  # its content counts, with the weights
}
_CHOOSE_PRECISION = ("openvino", "onnx")  # backends that do so for themselves
IMPORTED = "imported"  # in the section of a manifest: where detections of another tool are from
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


class _DetectionsWriter(SegmentWriter["DetectStage"]):
    def add(self, frame: Frame, detections: Detections | None) -> None:
        if detections is None:
            raise RuntimeError(f"frame {frame.index} reached the detect stage without detections")
        for rank, (box, score) in enumerate(zip(detections.boxes, detections.scores, strict=True)):
            sides = dict(zip(("x1", "y1", "x2", "y2"), box, strict=True))
            self.rows.append({"frame": frame.index, "pts_s": frame.pts_s, "rank": rank, **sides, "score": score})


@dataclass(frozen=True)
class DetectStage(SegmentStage):
    """Fills `detections/detections.parquet`, one row a box.

    Attributes:
        config: of the detector.

    """

    schemas: ClassVar = {DETECT.file: SCHEMA}
    writer = _DetectionsWriter
    makes_detections = True
    config: DetectorConfig

    @classmethod
    def of(cls, flight: Flight, inputs: Mapping[str, Any], config: DetectorConfig, weights: str) -> Self:
        """The stage of `flight`; `inputs` say how the video is read, `weights` is the sha256 of the detector's.

        A precision `auto` counts as what it means on this machine, so that no flight is half in fp32 and half in
        fp16. What was finished elsewhere in what `auto` means there is taken as it is; what was begun there is
        continued, if `check_precision` agrees.
        """
        settings = config.model_dump(mode="json", exclude=_NOT_IN_RESULT)
        if config.backend != "onnx":  # absent in workspaces of earlier versions, which stay up to date
            del settings["onnx"]
        stage = cls(DETECT.name, flight.stage(DETECT.folder), {**inputs, "weights": weights}, settings, config)
        if config.precision != "auto" or config.backend in _CHOOSE_PRECISION:
            return stage
        # fp32 is recorded as `auto`, which meant it before.
        here, there = ("auto", "fp16") if precision_of(config) == "fp32" else (precision_of(config), "auto")
        elsewhere = replace(stage, settings={**settings, "precision": there})
        if elsewhere.is_current() or elsewhere.is_begun():
            return elsewhere
        return replace(stage, settings={**settings, "precision": here})

    def is_begun(self) -> bool:
        """Whether it is not finished, and all parts that are there are its own."""
        return self.folder.manifest() is None and self.tables[0].fingerprints() == {self.fingerprint}

    def check_precision(self) -> None:
        """Check that this machine computes in the precision of the parts that are there.

        Raises:
            PipelineError: they are another machine's, for which `auto` means another one.

        """
        recorded = {"auto": "fp32"}.get(self.settings["precision"], self.settings["precision"])
        here = precision_of(self.config)
        if self.config.backend not in _CHOOSE_PRECISION and recorded != here:
            raise PipelineError(
                f"{self.folder.path}: was begun on another machine in {recorded}, and this one computes in {here}; "
                f"continue there, or choose for all: detector.precision={recorded} or detector.precision={here}"
            )

    @classmethod
    def imported(
        cls, flight: Flight, inputs: Mapping[str, Any], config: DetectorConfig, source: Mapping[str, Any]
    ) -> Self:
        """The stage with the detections that another tool found; `source`: where they are from, with `sha256`."""
        folder = flight.stage(DETECT.folder)
        return cls(DETECT.name, folder, {**inputs, "weights": source["sha256"]}, {IMPORTED: dict(source)}, config)

    @classmethod
    def as_imported(cls, flight: Flight, inputs: Mapping[str, Any], config: DetectorConfig) -> Self | None:
        """The stage as `uavpipe detections import` has finished it; None where the flight has no such detections.

        Raises:
            PipelineError: they are of another video or division into segments, or damaged.

        """
        folder = flight.stage(DETECT.folder)
        source = source_of_import(folder)
        if source is None:
            return None
        stage = cls.imported(flight, inputs, config, source)
        if stage.is_current():
            return stage
        raise PipelineError(
            f"{folder.path}: detections imported from {source['file']}: {stage.why_stale()}; import them again "
            "(uavpipe detections import), or remove this folder to detect"
        )

    def stored(self, segment: Segment) -> dict[int, Detections]:
        """The detections of a finished segment by frame index."""
        (table,) = self.tables
        return detections_by_frame(table.read(segment.first))

    @classmethod
    def broken(cls, flight: Path, folder: StageFolder, advance: Advance) -> Iterator[Broken]:
        """See `SegmentStage`: detections are of decoded frames, and none is there twice."""
        yield from super().broken(flight, folder, advance)
        table = folder.path / DETECT.file
        yield from check_frames(table, flight / FRAMES.output)
        yield from check_detections(table, table)

    @staticmethod
    def counts(folder: Path) -> dict[str, Any]:
        """Boxes in all and by score."""
        rows = read_table(folder / DETECT.file)
        return {
            "boxes": len(rows),
            "boxes_from_0.5": int((rows["score"] >= 0.5).sum()),
            "boxes_from_0.8": int((rows["score"] >= 0.8).sum()),
        }


def source_of_import(folder: StageFolder) -> Mapping[str, Any] | None:
    """Where the detections in `folder` are from: file, sha256, format …; None where a detector found them."""
    source = ((folder.manifest() or {}).get("section") or {}).get(IMPORTED)
    return source if isinstance(source, dict) and {"file", "sha256"} <= source.keys() else None


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
    return detections_by_frame(read_table(stage_folder / DETECT.file, SCHEMA.names))
