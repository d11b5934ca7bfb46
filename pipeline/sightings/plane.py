"""Places within a flight's own plane, where no telemetry gives positions.

The camera's motion, chained from frame to frame, maps the feet of each box into one picture: that of the flight's
first frame, as if all frames were laid over it as a mosaic. At a cut another such piece begins. Metres are pixels
divided by those that a metre has: by the median height of the flight's persons, taken as 1.7 m, or by the altitude
where that and the camera's angle of view are known. Persons seen from above are short, which makes distances too
long; along the line of sight of a tilted camera they are too short. The motion's errors add up, so that places
minutes apart drift.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from annotate.suggestions.ground import Ground, Motion
from pipeline.chain.table import FRAMES, MOTION
from pipeline.telemetry.ground_plane import ground_scale
from pipeline.workspace.manifest import StageFolder
from pipeline.workspace.tables import read_rows

COLUMNS = ["plane_x_m", "plane_y_m", "plane_piece"]
_BOX = ["x1", "y1", "x2", "y2"]


def plane_places(folder: Path, rows: pd.DataFrame, persons: pd.DataFrame) -> pd.DataFrame:
    """Where the feet of detections are in the plane of the flight in `folder`.

    Args:
        folder: of the flight.
        rows: number, frame, x1, y1, x2, y2: detections of tracklets; pixels.
        persons: frame, x1, y1, x2, y2: the detections of all its tracklets, from which the scale is taken.

    Returns:
        `COLUMNS` for each row: metres to the right of the centre of the first frame of the piece, metres below it,
        and the number of the piece, from 1. NaN where the motion or the picture's size is not known, and for
        tracklets that are in several pieces.

    """
    ground, size = flight_ground(folder), _size(folder)
    if not len(ground.frames) or size is None:
        return pd.DataFrame(np.nan, index=rows.index, columns=COLUMNS)
    every = ground.flatten(persons["frame"].to_numpy(), persons[_BOX].to_numpy())
    flat = ground.flatten(rows["frame"].to_numpy(), rows[_BOX].to_numpy())
    piece = pd.Series(flat.piece, index=rows.index)
    metre = piece.map(pd.Series(every.metre).groupby(every.piece).median())
    right, down = (flat.x - size[0] / 2) / metre, (flat.y - size[1] / 2) / metre
    whole = piece.groupby(rows["number"]).transform("nunique").eq(1)
    return pd.DataFrame(dict(zip(COLUMNS, (right, down, piece + 1), strict=True))).where(whole)


def flight_ground(folder: Path) -> Ground:
    """The ground of the flight in `folder`; without a frame where the camera's motion was not estimated."""
    fingerprint = (StageFolder(folder / MOTION.folder).manifest() or {}).get("fingerprint")
    if fingerprint is None:
        return Ground({})
    motion, cuts = _motion(folder / MOTION.folder, fingerprint)
    return Ground(motion, ground_scale(folder), cuts)


def _size(folder: Path) -> tuple[float, float] | None:
    """Width and height of the frames; None where they are not known."""
    frames = read_rows(folder / FRAMES.output, ["frame"])
    if frames is None or not {"width", "height"} <= set(frames):
        return None
    known = frames[["width", "height"]].dropna()
    return (float(known["width"].iloc[0]), float(known["height"].iloc[0])) if len(known) else None


@lru_cache(8)
def _motion(folder: Path, fingerprint: str) -> tuple[Motion, frozenset[int]]:
    """The camera's motion, and the cuts; kept, because closing the gaps between segments takes a while."""
    from pipeline.stages.motion import read_cuts, read_motion

    motion = read_motion(folder)
    return motion, frozenset(read_cuts(folder, motion))
