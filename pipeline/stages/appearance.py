"""Stage `appearance`: what each detected person looks like, in a few numbers that need no trained model.

Good enough to say "this is suddenly somebody else" within a tracklet, and to order suggestions before a re-id
model is there; no more than that.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import cv2
import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from detector.records import Detections
from pipeline.chain.table import APPEARANCE, DETECT
from pipeline.config.models import TracksConfig
from pipeline.engine.segment_stage import SegmentStage, SegmentWriter
from pipeline.video import Frame
from pipeline.workspace.folders import Flight
from pipeline.workspace.manifest import StageFolder
from pipeline.workspace.promises import Advance, Broken, check_detections
from pipeline.workspace.tables import read_table

_STRIPES = 4  # head, chest, hips, legs
_HUES, _LIGHTS = 8, 6
LENGTH = _STRIPES * (_HUES + _LIGHTS)
SCHEMA = pa.schema([("frame", pa.int32()), ("rank", pa.int16()), ("look", pa.list_(pa.float16(), LENGTH))])
_SIZE = (24, 48)  # width and height at which persons are compared
# A box holds ground at its sides: what is near the middle column counts more.
_MIDDLE = np.exp(-0.5 * ((np.arange(_SIZE[0]) + 0.5 - _SIZE[0] / 2) / (0.2 * _SIZE[0])) ** 2).astype(np.float32)


class _AppearanceWriter(SegmentWriter["AppearanceStage"]):
    def add(self, frame: Frame, detections: Detections | None) -> None:
        if detections is None:
            return
        found = detections.above(self.stage.min_score)
        for rank, look in enumerate(describe(frame.image, found.boxes)):
            self.rows.append({"frame": frame.index, "rank": rank, "look": look.astype(np.float16)})


@dataclass(frozen=True)
class AppearanceStage(SegmentStage):
    """Fills `appearance/appearance.parquet`: a row for each detection that may be linked.

    Attributes:
        min_score: of a detection.

    """

    schemas: ClassVar = {APPEARANCE.file: SCHEMA}
    writer = _AppearanceWriter
    reads_detections = True
    former_names = TracksConfig.former_names
    min_score: float

    @classmethod
    def of(cls, flight: Flight, inputs: Mapping[str, Any], min_score: float) -> Self:
        """The stage of `flight`; `inputs` say how the video is read and which detections are described."""
        folder = flight.stage(APPEARANCE.folder)
        return cls(APPEARANCE.name, folder, inputs, {"min_score": min_score}, min_score)

    @classmethod
    def broken(cls, flight: Path, folder: StageFolder, advance: Advance) -> Iterator[Broken]:
        """See `SegmentStage`: what is described is a detection."""
        yield from super().broken(flight, folder, advance)
        yield from check_detections(folder.path / APPEARANCE.file, flight / DETECT.output)

    @staticmethod
    def counts(folder: Path) -> dict[str, Any]:
        """Persons described."""
        return {"persons": len(read_table(folder / APPEARANCE.file))}


def describe(image: NDArray[np.uint8], boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Colour and lightness of persons, by stripes from head to foot.

    In each of four stripes a histogram of hue, weighted by how colourful a pixel is, and one of lightness; the
    square roots of all, so that the dot product of two descriptors is the Bhattacharyya coefficient of
    their histograms (Bhattacharyya 1943): 1 for equal ones, 0 for disjoint ones.

    Args:
        image: uint8 (H, W, 3) RGB.
        boxes: float32 (n, 4) xyxy in its pixels.

    Returns:
        float32 (n, 56), of length 1 each.

    """
    if not len(boxes):
        return np.zeros((0, LENGTH), np.float32)
    height, width = image.shape[:2]
    starts = np.floor(boxes[:, :2]).clip(0, [width - 1, height - 1]).astype(int)
    stops = np.ceil(boxes[:, 2:]).clip(starts + 1, [width, height]).astype(int)
    persons = [
        cv2.resize(image[top:bottom, left:right], _SIZE, interpolation=cv2.INTER_AREA)
        for (left, top), (right, bottom) in zip(starts.tolist(), stops.tolist(), strict=True)
    ]
    return _descriptors(np.concatenate(persons))


def _descriptors(persons: NDArray[Any]) -> NDArray[np.float32]:
    """The descriptors of persons of `_SIZE`, one below the other: all at once, small steps hold up the model."""
    hsv = cv2.cvtColor(persons, cv2.COLOR_RGB2HSV_FULL).astype(np.float32) / 256
    stripes = hsv.reshape(-1, _SIZE[1] // _STRIPES * _SIZE[0], 3)
    hue, colourful, light = stripes[..., 0], stripes[..., 1] * stripes[..., 2], stripes[..., 2]
    weight = np.tile(_MIDDLE, _SIZE[1] // _STRIPES)
    hues = _histograms(hue, weight * colourful, _HUES, wraps=True)
    lights = _histograms(light, weight * (1 - colourful), _LIGHTS, wraps=False)
    whole = np.concatenate([hues, lights], axis=1).reshape(-1, LENGTH)
    return np.asarray(np.sqrt(whole / whole.sum(axis=1, keepdims=True).clip(1e-9)), np.float32)


def _histograms(values: NDArray[Any], weights: NDArray[Any], bins: int, *, wraps: bool) -> NDArray[np.float64]:
    """For each row, weights by value in [0, 1), each shared between the two bins whose middles are nearest."""
    place = values * bins - 0.5
    low = np.floor(place).astype(int)
    share = place - low
    neighbours = [low % bins, (low + 1) % bins] if wraps else [low.clip(0), (low + 1).clip(None, bins - 1)]
    start = np.arange(len(values))[:, None] * bins
    first, second = (
        np.bincount((which + start).ravel(), (weights * part).ravel(), len(values) * bins)
        for which, part in zip(neighbours, (1 - share, share), strict=True)
    )
    return np.asarray(first + second).reshape(-1, bins)


def read_descriptors(stage_folder: Path) -> pd.DataFrame:
    """The rows of a finished `appearance` stage: frame, rank, look (float32 (56,))."""
    rows = read_table(stage_folder / APPEARANCE.file)
    looks = pd.Series([np.asarray(look, np.float32) for look in rows["look"]], index=rows.index, dtype=object)
    return rows.assign(look=looks)
