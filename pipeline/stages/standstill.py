"""A flight in which nothing moves: a picture that is repeated, a decoder or a recorder that froze."""

from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.chain.table import DETECT, MOTION
from pipeline.workspace.entries import MANIFEST
from pipeline.workspace.tables import read_file

_STILL = (
    0.02  # px between two frames: noise before a camera on a tripod gives less, a hovering drone ten times as much
)
_SAME_BOX = 1.0  # px between two frames: noise moves a box by less
_SCORE = 0.5  # of the boxes that are compared
_MOST = 0.9  # of the frames
_FEWEST = 10  # frames
_CORNERS = ["x1", "y1", "x2", "y2"]


def standstill(flight: Path) -> str:
    """What to say of the flight in folder `flight` if neither the camera nor a person moves; "" if one does."""
    if not all((flight / stage.folder / MANIFEST).exists() for stage in (DETECT, MOTION)):
        return ""
    rows = read_file(flight / MOTION.output, ["frame", "a", "b", "x", "y"]).sort_values("frame")
    moved = np.abs(rows[["a", "b", "x", "y"]].to_numpy(np.float64) - (1, 0, 0, 0)).max(axis=1, initial=0)
    boxes = read_file(flight / DETECT.output, ["frame", "rank", "score", *_CORNERS])
    seen = boxes[boxes["score"] >= _SCORE].sort_values(["frame", "rank"])
    by_frame = {frame: found[_CORNERS].to_numpy(np.float64) for frame, found in seen.groupby("frame")}
    found = [by_frame.get(frame, np.empty((0, 4))) for frame in rows["frame"]]
    still = sum(
        step < _STILL and _same(before, after)
        for step, (before, after) in zip(moved[1:], pairwise(found), strict=True)
    )
    if len(rows) < _FEWEST or still < _MOST * (len(rows) - 1):
        return ""
    return (
        f"in {still:,} of {len(rows):,} frames neither the camera nor a person moves; see the clip or "
        "`uavpipe frames --images`: the recording may have frozen"
    )


def _same(before: NDArray[np.float64], after: NDArray[np.float64]) -> bool:
    return before.shape == after.shape and bool((np.abs(before - after) <= _SAME_BOX).all())
