"""Stage `appearance`: what each detected person looks like, in a few numbers that need no trained model.

Good enough to say "this is suddenly somebody else" within a tracklet, and to order suggestions before a re-id
model is there; no more than that.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from detector.records import Detections
from pipeline.segment_stage import PixelStage
from pipeline.tables import SegmentTable, read_table
from pipeline.video import Damage, Frame, Segment

_STRIPES = 4  # head, chest, hips, legs
_HUES, _LIGHTS = 8, 6
LENGTH = _STRIPES * (_HUES + _LIGHTS)
SCHEMA = pa.schema([("frame", pa.int32()), ("rank", pa.int16()), ("look", pa.list_(pa.float16(), LENGTH))])
_SIZE = (24, 48)  # width and height at which persons are compared
# A box holds ground at its sides: what is near the middle column counts more.
_MIDDLE = np.exp(-0.5 * ((np.arange(_SIZE[0]) + 0.5 - _SIZE[0] / 2) / (0.2 * _SIZE[0])) ** 2).astype(np.float32)


class AppearanceStage(PixelStage):
    """Fills `appearance/appearance.parquet`: a row for each detection from `tracks.low` up."""

    name = "appearance"
    reads_detections = True

    @cached_property
    def table(self) -> SegmentTable:
        """The table of descriptors."""
        return SegmentTable(self.folder.path / "appearance.parquet", SCHEMA, self.fingerprint)

    def write(self, segment: Segment) -> "_AppearanceWriter":
        """A writer for `segment`."""
        return _AppearanceWriter(self, segment)

    def counts(self) -> dict[str, Any]:
        """Persons described."""
        return {"persons": len(read_table(self.table.folder))}


class _AppearanceWriter:
    def __init__(self, stage: AppearanceStage, segment: Segment) -> None:
        self._stage, self._segment = stage, segment
        self._rows: list[dict[str, Any]] = []

    def add(self, frame: Frame, detections: Detections | None) -> None:
        if detections is None:
            return
        found = detections.above(self._stage.section["low"])
        for rank, look in enumerate(describe(frame.image, found.boxes)):
            self._rows.append({"frame": frame.index, "rank": rank, "look": look.astype(np.float16)})

    def finish(self, damage: Sequence[Damage]) -> None:
        self._stage.table.write(self._segment.first, self._rows)


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
    height, width = image.shape[:2]
    looks = np.zeros((len(boxes), LENGTH), np.float32)
    for index, box in enumerate(boxes):
        left, top = np.clip(np.floor(box[:2]).astype(int), 0, [width - 1, height - 1])
        right, bottom = np.clip(np.ceil(box[2:]).astype(int), [left + 1, top + 1], [width, height])
        person = cv2.resize(image[top:bottom, left:right], _SIZE, interpolation=cv2.INTER_AREA)
        looks[index] = _look(person)
    return looks


def _look(person: NDArray[Any]) -> NDArray[np.float32]:
    hsv = cv2.cvtColor(person, cv2.COLOR_RGB2HSV_FULL).astype(np.float32) / 256
    hue, colourful, light = hsv[..., 0], hsv[..., 1] * hsv[..., 2], hsv[..., 2]
    histograms = []
    for rows in np.split(np.arange(_SIZE[1]), _STRIPES):
        weight = np.broadcast_to(_MIDDLE, (len(rows), _SIZE[0]))
        histograms.append(_histogram(hue[rows], weight * colourful[rows], _HUES, wraps=True))
        grey = weight * (1 - colourful[rows])
        histograms.append(_histogram(light[rows], grey, _LIGHTS, wraps=False))
    whole = np.concatenate(histograms)
    return np.asarray(np.sqrt(whole / max(whole.sum(), 1e-9)), np.float32)


def _histogram(values: NDArray[Any], weights: NDArray[Any], bins: int, *, wraps: bool) -> NDArray[np.float64]:
    """Weights by value in [0, 1), each shared between the two bins whose middles are nearest."""
    place = (values * bins - 0.5).ravel()
    low = np.floor(place).astype(int)
    share = place - low
    neighbours = [low % bins, (low + 1) % bins] if wraps else [low.clip(0), (low + 1).clip(None, bins - 1)]
    flat = weights.ravel()
    first, second = (
        np.bincount(which, flat * part, bins) for which, part in zip(neighbours, (1 - share, share), strict=True)
    )
    return np.asarray(first + second)


def read_looks(stage_folder: Path) -> pd.DataFrame:
    """The rows of a finished `appearance` stage: frame, rank, look (float32 (56,))."""
    rows = read_table(stage_folder / "appearance.parquet")
    looks = pd.Series([np.asarray(look, np.float32) for look in rows["look"]], index=rows.index, dtype=object)
    return rows.assign(look=looks)
