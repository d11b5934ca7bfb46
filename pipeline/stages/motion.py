"""Stage `motion`: how the camera moved from frame to frame, estimated once, in the pass over the video.

A segment's first frame follows the last one of the segment before, which another run may have decoded. So
each segment keeps its two outer pictures, small and grey, and `read_motion` closes the gap between segments from
them: the result does not depend on where a killed run began again.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, Self

import cv2
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from detector.records import Detections
from pipeline.chain.table import FRAMES, MOTION
from pipeline.engine.segment_stage import SegmentStage, SegmentWriter
from pipeline.stages.misfit import CUT, Misfit
from pipeline.video import Damage, Frame, Segment
from pipeline.workspace.folders import Flight
from pipeline.workspace.manifest import StageFolder
from pipeline.workspace.promises import Advance, Broken, check_frames
from pipeline.workspace.tables import read_table

EDGES_FILE = "edges.parquet"
_MATRIX = ("a", "b", "x", "c", "d", "y")
SCHEMA = pa.schema(
    [
        ("frame", pa.int32()),
        # Points of the frame before go to [[a, b], [c, d]] point + (x, y), in pixels of the video.
        *((name, pa.float32()) for name in _MATRIX),
        ("misfit", pa.float32()),  # share of the picture that fits nothing in the frame before; null: not known
        ("unlike", pa.float32()),  # share that is unlike the frame before, as after a cut; null: not known
    ]
)
EDGES = pa.schema(
    [
        ("frame", pa.int32()),  # the segment's first one that could be decoded
        ("first", pa.binary()),  # PNG
        ("last", pa.binary()),
        ("scale", pa.float64()),  # pixels of the video for one of theirs
    ]
)
_WIDTH = 960  # px: pictures are kept at half of 1080p, where sensor noise is gone and the ground still has texture
# A similarity has four unknowns: corners all over the picture say as much as many.
FOLLOWED = {"corners": 200, "distance": 12, "width": 480}
FOLLOWED_BEFORE = {"corners": 1000, "distance": 8, "width": 960}  # where nothing is recorded


class _MotionWriter(SegmentWriter["MotionStage"]):
    def __init__(self, stage: "MotionStage", segment: Segment) -> None:
        super().__init__(stage, segment)
        self._follower, self._misfit = Follower(stage.settings), Misfit()
        self._first: NDArray[np.uint8] | None = None
        self._last: NDArray[np.uint8] | None = None
        self._scale = 1.0

    def add(self, frame: Frame, detections: Detections | None) -> None:
        small, self._scale = shrink(frame.image)
        matrix = self._follower.next(small, self._scale)
        of_small = np.asarray(matrix / (1, 1, self._scale), np.float32)
        compared = self._misfit.next(small, of_small)._asdict()
        row = {name: None if math.isnan(share) else share for name, share in compared.items()}
        self.rows.append({"frame": frame.index, **row} | dict(zip(_MATRIX, matrix.ravel(), strict=True)))
        self._first = small if self._first is None else self._first
        self._last = small

    def finish(self, damage: Sequence[Damage]) -> None:
        edges = []
        if self._first is not None and self._last is not None:
            pictures = {"first": _pack(self._first), "last": _pack(self._last)}
            edges = [{"frame": self.rows[0]["frame"], **pictures, "scale": self._scale}]
        self.stage.tables[0].write(self.segment.first, edges)
        super().finish(damage)


@dataclass(frozen=True)
class MotionStage(SegmentStage):
    """Fills `motion/motion.parquet`, a row a frame, and `motion/edges.parquet`, two pictures a segment."""

    schemas: ClassVar = {EDGES_FILE: EDGES, MOTION.file: SCHEMA}
    added: ClassVar = dict.fromkeys(("misfit", "unlike"), lambda rows: pa.nulls(len(rows)))  # not known
    writer = _MotionWriter

    @classmethod
    def of(cls, flight: Flight, inputs: Mapping[str, Any]) -> Self:
        """The stage of `flight`; `inputs` say how the video is read.

        What an earlier version finished, following more points, is taken as it is.
        """
        return cls(MOTION.name, flight.stage(MOTION.folder), inputs, FOLLOWED).as_recorded(FOLLOWED)

    @classmethod
    def broken(cls, flight: Path, folder: StageFolder, advance: Advance) -> Iterator[Broken]:
        """See `SegmentStage`: each decoded frame has its row."""
        yield from super().broken(flight, folder, advance)
        yield from check_frames(folder.path / MOTION.file, flight / FRAMES.output, every=True)

    @staticmethod
    def counts(folder: Path) -> dict[str, Any]:
        """Frames, and how far the camera's picture moved between two of them in the median."""
        rows = read_table(folder / MOTION.file)
        shift = np.hypot(rows["x"].to_numpy(), rows["y"].to_numpy())
        return {"frames": len(rows), "median_shift_px": round(float(np.median(shift)), 2) if len(rows) else 0.0}


class Follower:
    """Follows the ground from picture to picture: sparse optical flow and a similarity, as in BoT-SORT.

    Source: Aharon et al., "BoT-SORT: Robust Associations Multi-Pedestrian Tracking", 2022, by `trackers`.

    Args:
        followed: how many corners are followed, how far they are apart at least (px), and at which width of the
            picture (px).

    """

    def __init__(self, followed: Mapping[str, int]) -> None:
        from trackers import CMC, CMCConfig  # takes a second: only where it is used

        followed = FOLLOWED_BEFORE | dict(followed)
        self._width = followed["width"]
        # The default least distance of 1 px puts all corners on the few strongest edges.
        config = CMCConfig(
            method="sparseOptFlow",
            downscale=1,
            sof_max_corners=followed["corners"],
            sof_min_distance=followed["distance"],
        )
        self._cmc = CMC(config)

    def next(self, picture: NDArray[np.uint8], scale: float) -> NDArray[np.float32]:
        """The motion from the picture before, float32 (2, 3), for coordinates `scale` times larger.

        Args:
            picture: uint8 (H, W), grey.
            scale: pixels of the video for one of `picture`.

        """
        small, smaller = _narrowed(picture, self._width)
        cv2.setRNGSeed(0)  # RANSAC: the same pictures give the same motion
        matrix = self._cmc.estimate(cv2.cvtColor(small, cv2.COLOR_GRAY2BGR))
        matrix = np.asarray(matrix, np.float32).copy()
        matrix[:, 2] *= scale * smaller
        return matrix


def shrink(image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], float]:
    """`image` (uint8 (H, W, 3) RGB) in grey and at most 960 px wide, and how much larger it was."""
    return _narrowed(np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8), _WIDTH)


def _narrowed(picture: NDArray[np.uint8], width: int) -> tuple[NDArray[np.uint8], float]:
    """`picture` (uint8 (H, W)) at most `width` px wide, and how much larger it was."""
    scale = max(1.0, picture.shape[1] / width)
    if scale > 1:
        size = (width, max(1, round(picture.shape[0] / scale)))
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    return picture, scale


def read_motion(stage_folder: Path) -> dict[int, NDArray[np.float32]]:
    """The motion into each frame of a finished `motion` stage: float32 (2, 3), from the frame decoded before it."""
    rows = read_table(stage_folder / MOTION.file)
    matrices = rows[list(_MATRIX)].to_numpy(np.float32).reshape(-1, 2, 3)
    motion = dict(zip(rows["frame"].tolist(), matrices, strict=True))
    edges = read_table(stage_folder / EDGES_FILE)
    followed = (StageFolder(stage_folder).manifest() or {}).get("section", {})
    for before, after in pairwise(edges.to_dict("records")):
        follower = Follower(followed)
        follower.next(_unpack(before["last"]), before["scale"])
        motion[after["frame"]] = follower.next(_unpack(after["first"]), after["scale"])
    return motion


def read_cuts(stage_folder: Path, motion: Mapping[int, NDArray[np.float32]]) -> set[int]:
    """The frames at which the scene was cut, so that the motion into them says nothing.

    Tables of earlier versions tell it of a segment's first frame only.

    Args:
        stage_folder: of a finished `motion` stage.
        motion: as `read_motion` gives it.

    """
    rows = read_table(stage_folder / MOTION.file)
    found = set(rows.loc[rows["unlike"] >= CUT, "frame"].tolist()) if "unlike" in rows else set()
    for before, after in pairwise(read_table(stage_folder / EDGES_FILE).to_dict("records")):
        misfit, matrix = Misfit(), motion[after["frame"]] / (1, 1, after["scale"])
        misfit.next(_unpack(before["last"]), matrix)
        if misfit.next(_unpack(after["first"]), matrix).unlike >= CUT:
            found.add(after["frame"])
    return found


def read_misfit(stage_folder: Path) -> dict[int, float]:
    """How much of each frame fits nothing in the one before, where that is known; see `Misfit`."""
    rows = read_table(stage_folder / MOTION.file)
    if "misfit" not in rows:  # made before it was measured
        return {}
    known = rows.dropna(subset=["misfit"])
    return dict(zip(known["frame"].tolist(), known["misfit"].tolist(), strict=True))


def _pack(picture: NDArray[np.uint8]) -> bytes:
    return bytes(cv2.imencode(".png", picture)[1])


def _unpack(data: bytes) -> NDArray[np.uint8]:
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE), np.uint8)
