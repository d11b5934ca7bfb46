"""Stage `crops`: each detection above the threshold cut out of its frame, with what is needed to judge it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self
from zlib import crc32

import cv2
import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from detector.records import Detections
from pipeline.boxes import pixel_window
from pipeline.chain.table import CROPS, DETECT
from pipeline.config.models import CameraConfig, CropsConfig
from pipeline.engine.segment_stage import SegmentStage, SegmentWriter
from pipeline.stages.crop_store import (
    FILE,
    OFFSET,
    Store,
    is_whole,
    read_picture,
    segment_crops,
    shard_sizes,
    shards_in,
)
from pipeline.telemetry import Source, Telemetry, no_telemetry
from pipeline.telemetry.ground_plane import View, make_view
from pipeline.video import Frame, Segment
from pipeline.workspace.entries import check_no_link, empty
from pipeline.workspace.folders import Flight
from pipeline.workspace.jpeg import encode_jpeg
from pipeline.workspace.manifest import StageFolder
from pipeline.workspace.promises import Advance, Broken, check_detections, check_image
from pipeline.workspace.tables import SegmentTable, read_table

SCHEMA = pa.schema(
    [
        ("crop", pa.string()),  # path of the JPEG, relative to the stage's folder
        ("frame", pa.int32()),
        ("pts_s", pa.float64()),
        ("rank", pa.int16()),  # with `frame`: which detection
        ("score", pa.float32()),
        ("x1", pa.float32()),
        ("y1", pa.float32()),
        ("x2", pa.float32()),
        ("y2", pa.float32()),
        ("left", pa.int32()),  # the pixels that were cut: [top:bottom, left:right] of the frame
        ("top", pa.int32()),
        ("right", pa.int32()),
        ("bottom", pa.int32()),
        ("sharpness", pa.float32()),
        ("bytes", pa.int32()),  # of the JPEG: one that was cut off is made again
        ("crc32", pa.int64()),  # of its bytes: tells what was changed inside, where somebody asks
        ("suspect", pa.bool_()),  # cut from a frame that may be wrong
    ]
)
IN_SHARDS = SCHEMA.append(pa.field(OFFSET, pa.int64()))  # where the JPEG begins in its shard
_SHARPNESS_SIZE = (64, 128)  # width, height at which crops are compared


def sharpness(image: NDArray[np.uint8]) -> float:
    """Variance of the Laplacian of the crop at 64x128: low means blurred.

    The common size makes near and far persons comparable. Source: Pech-Pacheco et al., "Diatom
    autofocusing in brightfield microscopy", ICPR 2000.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    resized = cv2.resize(grey, _SHARPNESS_SIZE, interpolation=cv2.INTER_AREA)
    return float(cv2.Laplacian(resized, cv2.CV_32F).var())


def checksums(rows: pd.DataFrame) -> dict[str, int]:
    """CRC-32 by the name of the crop, as far as `rows` of a table of crops have it: imported ones have none."""
    if "crc32" not in rows:
        return {}
    known = rows[["crop", "crc32"]].dropna()
    return dict(zip(known["crop"], known["crc32"].astype(int), strict=True))


def changed_files(folder: Path, expected: Mapping[str, int]) -> list[str]:
    """Which of the files `expected`, CRC-32 by name in `folder`, have other bytes."""
    return [name for name, crc in expected.items() if crc32(read_picture(folder / name)) != crc]


class _CropsWriter(SegmentWriter["CropsStage"]):
    def __init__(self, stage: "CropsStage", segment: Segment) -> None:
        super().__init__(stage, segment)
        self._crops = self.unfinished.enter_context(segment_crops(stage.store, stage.folder.path, segment.first))

    def add(self, frame: Frame, detections: Detections | None) -> None:
        config = self.stage.config
        if detections is None or frame.index % config.stride or (frame.suspect and not config.suspect):
            return
        view = self.stage.view(frame)
        for rank, (box, score) in enumerate(zip(detections.boxes, detections.scores, strict=True)):
            if score < self.stage.threshold or box[3] - box[1] < config.min_height:
                continue
            if view is None or config.person_m is None or _as_tall_as_a_person(view, box, config.person_m):
                self._cut(frame, rank, box, float(score))

    def _cut(self, frame: Frame, rank: int, box: NDArray[np.float32], score: float) -> None:
        config, (height, width) = self.stage.config, frame.image.shape[:2]
        left, top, right, bottom = pixel_window(box, config.padding, width, height)
        crop = np.ascontiguousarray(frame.image[top:bottom, left:right])
        jpeg = encode_jpeg(crop, config.quality)
        self.rows.append(
            {
                **self._crops.add(f"{frame.index:08d}_{rank:03d}.jpg", jpeg),
                "frame": frame.index,
                "pts_s": frame.pts_s,
                "rank": rank,
                "score": score,
                **dict(zip(("x1", "y1", "x2", "y2"), box, strict=True)),
                **dict(zip(("left", "top", "right", "bottom"), (left, top, right, bottom), strict=True)),
                "sharpness": sharpness(crop),
                "bytes": len(jpeg),
                "crc32": crc32(jpeg),
                "suspect": frame.suspect,
            }
        )


@dataclass(frozen=True)
class CropsStage(SegmentStage):
    """Fills `crops/crops.parquet` and `crops/images/<segment>/<frame>_<rank>.jpg`, or `crops/images/<segment>.tar`.

    Attributes:
        config: which detections become crops, and how they are cut.
        threshold: lowest score that becomes a crop.
        camera: what makes pixels metres, where persons are measured.
        telemetry: where the telemetry is read from; None: nowhere.

    """

    schemas: ClassVar = {CROPS.file: SCHEMA}
    added: ClassVar = {"suspect": lambda rows: pa.array(np.zeros(len(rows), bool))}  # none were cut then
    writer = _CropsWriter
    reads_detections = True
    former_names = CropsConfig.former_names
    config: CropsConfig
    threshold: float
    camera: CameraConfig
    telemetry: Source | None

    @classmethod
    def of(
        cls,
        flight: Flight,
        inputs: Mapping[str, Any],
        config: CropsConfig,
        threshold: float,
        camera: CameraConfig,
        telemetry: Source | None,
    ) -> Self:
        """The stage of `flight`; `inputs` say how the video is read and which detections are cut."""
        settings = config.model_dump(exclude_none=True, exclude={"verify"})
        if config.store == "files":  # crops from before there was the setting are files, too
            del settings["store"]
        settings["threshold"] = threshold
        if config.person_m is not None:
            settings["camera"] = camera.model_dump()
            inputs = {**inputs, "telemetry": telemetry.fingerprint() if telemetry else "off"}
        folder = flight.stage(CROPS.folder)
        return cls(CROPS.name, folder, inputs, settings, config, threshold, camera, telemetry)

    @property
    def store(self) -> Store:
        """How the crops are kept; by the settings, which may be those of a finished stage."""
        return "tar" if self.settings.get("store") == "tar" else "files"

    @property
    def tables(self) -> tuple[SegmentTable, ...]:
        """The table of crops; those in shards have an offset."""
        schema = IN_SHARDS if self.store == "tar" else SCHEMA
        return (SegmentTable(self.folder.path / CROPS.file, schema, self.fingerprint),)

    @cached_property
    def located(self) -> Telemetry:
        """Where the drone was."""
        return self.telemetry.telemetry if self.telemetry else no_telemetry()

    def view(self, frame: Frame) -> View | None:
        """How the camera saw the ground in `frame`; None unless persons are measured and enough is known."""
        if self.config.person_m is None:
            return None
        at = self.located.at(frame.pts_s)
        height, width = frame.image.shape[:2]
        return make_view(self.camera, at["altitude_m"], at["pitch_deg"], width, height)

    def end(self, segments: Sequence[Segment], seconds: float) -> None:
        """Remove images that no segment claims, or that another store kept, and finish as every stage does."""
        claimed = {f"{segment.first:08d}" for segment in segments}
        in_shards = self.store == "tar"
        for folder in (self.folder.path / "images").glob("[0-9]*"):
            if folder.is_dir() and (in_shards or folder.name not in claimed):
                empty(folder, FILE)
        for shard in shards_in(self.folder.path):
            if not in_shards or shard.stem not in claimed:
                shard.unlink()
        super().end(segments, seconds)

    def is_done(self, segment: Segment) -> bool:
        """Whether the segment's rows and all of its images are there, as long as they were written."""
        (table,) = self.tables
        return super().is_done(segment) and self._are_intact(table.read(segment.first), f"{segment.first:08d}")

    def is_current(self) -> bool:
        """Whether the stage was finished from these inputs and no crop is missing, cut off or changed.

        Raises:
            PipelineError: a folder of images is a link.

        """
        images = self.folder.path / "images"
        check_no_link(self.folder.path, (images, *images.glob("[0-9]" * 8), *shards_in(self.folder.path)))
        return super().is_current() and self._are_intact(read_table(self.folder.path / CROPS.file), "*")

    def _are_intact(self, rows: pd.DataFrame, segments: str) -> bool:
        """Whether the images of `segments`, a pattern, are just those of `rows`."""
        if self.store == "tar":
            shards = (each for each in shards_in(self.folder.path) if fnmatch(each.stem, segments))
            sizes = {f"images/{each.name}": each.stat().st_size for each in shards}
            whole = sizes == shard_sizes(rows)
        else:
            images = (self.folder.path / "images").glob(f"{segments}/*.jpg")
            ours = (path for path in images if re.fullmatch(FILE, path.name))
            there = {f"images/{path.parent.name}/{path.name}": path.stat().st_size for path in ours}
            whole = there == dict(zip(rows["crop"], rows["bytes"], strict=True))
        if not whole or not self.config.verify:
            return whole
        try:
            return not changed_files(self.folder.path, checksums(rows))
        except OSError:  # something else is in a shard
            return False

    @classmethod
    def broken(cls, flight: Path, folder: StageFolder, advance: Advance) -> Iterator[Broken]:
        """See `SegmentStage`: each crop is of a detection, and its image has the bytes that were written."""
        yield from super().broken(flight, folder, advance)
        table = folder.path / CROPS.file
        yield from check_detections(table, flight / DETECT.output)
        rows = read_table(table)
        known, damaged = checksums(rows), set[str]()
        for name in shard_sizes(rows):
            if not is_whole(folder.path / name):
                damaged.add(name)
                there = (folder.path / name).is_file()
                yield Broken(folder.path / name, "another length than was written" if there else "missing")
        for name, size in zip(rows["crop"], rows["bytes"], strict=True):
            advance(1)
            if name.rpartition("/")[0] in damaged:  # once is enough
                continue
            broken = check_image(folder.path / name, size, known.get(name), read_picture)
            if broken:
                yield broken

    @staticmethod
    def counts(folder: Path) -> dict[str, Any]:
        """Crops, and the frames they come from."""
        rows = read_table(folder / CROPS.file)
        return {"crops": len(rows), "frames_with_crops": int(rows["frame"].nunique())}


def _as_tall_as_a_person(view: View, box: NDArray[np.float32], metres: tuple[float, float]) -> bool:
    """Whether `box` is between `metres` tall; where that cannot be told, it is believed."""
    height = view.person_height(box.tolist())
    return height is None or metres[0] <= height <= metres[1]
