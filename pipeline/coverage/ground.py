"""The ground that flights saw, in cells, and the probability that a person there would have been detected.

A person of 1.7 m is put into the middle of each cell, upright, on flat ground at the height of the take-off,
and projected by the camera of `telemetry/position.py`. In a frame that shows the whole person, the probability
is the detector's recall at the person's height in the picture; frames that are lost or may be wrong count as
not seen.

The frames of one pass show a person from nearly the same side, behind the same branch: a detector that misses
them in one often misses them in the next. So a frame each half second counts, and these are correlated, as
`Recall.missed` says. A pass ends where a cell is out of the picture for 5 s. Passes are independent:
1 - (1 - p1) (1 - p2) ... What hides a person is part of the recall as far as the data have it that it was measured
on; trees and roofs of this ground are not known.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.chain.table import FRAMES
from pipeline.config.models import CameraConfig
from pipeline.coverage.recall import Recall
from pipeline.errors import PipelineError
from pipeline.sightings.records import Position
from pipeline.telemetry.ground_plane import EDGE, FLATTEST, read_camera
from pipeline.telemetry.position import METRES_A_DEGREE, NEEDED
from pipeline.telemetry.wall_clock import flight_clock
from pipeline.workspace.tables import read_rows

PERSON_M, _SHOULDERS_M = 1.7, 0.5
PASS_S = 5.0  # out of the picture for longer is another look
_EVERY_S = 0.5  # a frame each
_MOST_CELLS = 250_000
Metres = NDArray[np.float64]
_MARKS = ("lost", "suspect", "corrupt")


@dataclass(frozen=True, eq=False)
class Looks:
    """What one flight saw of a grid of cells.

    Attributes:
        flight: its name.
        begin, end: by its wall clock; None without one.
        frames: that were compared.
        missed: float64 (rows, columns), probability that a person in a cell was missed; 1 where nothing was seen.
        looks: int64 (rows, columns), number of passes.
        first_s, last_s: float64 (rows, columns), seconds as the video has them; NaN where nothing was seen.

    """

    flight: str
    begin: datetime | None
    end: datetime | None
    frames: int
    missed: NDArray[np.float64]
    looks: NDArray[np.int64]
    first_s: NDArray[np.float64]
    last_s: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Coverage:
    """What flights saw.

    Attributes:
        origin: the place of the corner in the south and west, degrees north and east.
        cell_m: side of a cell.
        flights: what each saw, on the same grid: rows from south to north, columns from west to east.
        recall: by which the probabilities are.
        without: flights that say nothing: no telemetry, or no angle of view.

    """

    origin: Position
    cell_m: float
    flights: tuple[Looks, ...]
    recall: Recall
    without: tuple[str, ...]

    @property
    def found(self) -> NDArray[np.float64]:
        """Probability that a person in a cell was detected, by all looks: float64 (rows, columns)."""
        return np.asarray(1 - np.prod([each.missed for each in self.flights], axis=0), np.float64)

    @property
    def looks(self) -> NDArray[np.int64]:
        """Number of looks at each cell: int64 (rows, columns); 0 where nothing was seen."""
        return np.asarray(np.sum([each.looks for each in self.flights], axis=0), np.int64)

    def corner(self, row: float, column: float) -> Position:
        """Degrees north and east of the corner in the south and west of a cell."""
        across = METRES_A_DEGREE * np.cos(np.radians(self.origin[0]))
        return (
            round(self.origin[0] + row * self.cell_m / METRES_A_DEGREE, 7),
            round(self.origin[1] + column * self.cell_m / float(across), 7),
        )


def read_coverage(workspace: Path, recall: Recall, flights: Sequence[str] = (), cell_m: float = 2.0) -> Coverage:
    """What the flights of `workspace` saw.

    Args:
        workspace: with tables of frames.
        recall: of the detector.
        flights: names of those that are wanted; empty: all.
        cell_m: side of a cell; it is doubled until there are 250,000 cells at most.

    Raises:
        PipelineError: there is no such flight, or none with telemetry and an angle of view; a table is damaged.

    """
    there = sorted(path.parents[1].name for path in workspace.glob(f"[!.]*/{FRAMES.output}"))
    if not there:
        raise PipelineError(f"{workspace}: no flights here; name the --workspace")
    for name in flights:
        if name not in there:
            raise PipelineError(f"there is no flight {name}; known: {', '.join(there)}")
    names = list(flights) or there
    known = {name: rows for name in names if (rows := _frames(workspace / name)) is not None}
    if not known:
        raise PipelineError(
            f"{workspace}: no flight has altitude, position, angles and `camera.fov_deg`, so what it saw is not "
            "known; see docs/telemetry.md"
        )
    reach = max(_reach(rows, camera, recall) for rows, camera in known.values())
    everything = pd.concat([rows for rows, _ in known.values()])
    origin, shape, cell_m = _grid(everything, reach, cell_m)
    seen = tuple(
        _looks(workspace / name, rows, camera, recall, origin, shape, cell_m)
        for name, (rows, camera) in known.items()
    )
    return Coverage(origin, cell_m, seen, recall, tuple(name for name in names if name not in known))


def heights_px(frame: Mapping[str, float], fov_deg: float, north: Metres, east: Metres) -> Metres:
    """Height in pixels of persons at places around the camera, NaN where they are not wholly in the picture.

    Args:
        frame: altitude_m, heading_deg, pitch_deg, width, height of a frame.
        fov_deg: horizontal angle of view.
        north: metres from the camera, any shape.
        east: the same.

    """
    p, heading = np.radians(-frame["pitch_deg"]), np.radians(frame["heading_deg"])
    focal = frame["width"] / 2 / np.tan(np.radians(fov_deg) / 2)
    forward = north * np.cos(heading) + east * np.sin(heading)
    right = east * np.cos(heading) - north * np.sin(heading)

    def project(below: float) -> tuple[Metres, Metres, Metres]:
        depth = forward * np.cos(p) + below * np.sin(p)
        with np.errstate(divide="ignore", invalid="ignore"):
            across = focal * right / depth + (frame["width"] - 1) / 2
            down = focal * (below * np.cos(p) - forward * np.sin(p)) / depth + (frame["height"] - 1) / 2
        return depth, across, down

    depth, across, feet = project(frame["altitude_m"])
    head_depth, head_across, head = project(frame["altitude_m"] - PERSON_M)
    flat = frame["altitude_m"] < np.sin(FLATTEST) * np.sqrt(north**2 + east**2 + frame["altitude_m"] ** 2)
    inside = (depth > 0.1) & (head_depth > 0.1) & ~flat
    for x, y in ((across, feet), (head_across, head)):
        inside &= (x >= EDGE) & (x <= frame["width"] - EDGE) & (y >= EDGE) & (y <= frame["height"] - EDGE)
    # From above, shoulders are what a box is as tall as.
    tall = np.maximum(np.abs(feet - head), _SHOULDERS_M * focal / np.maximum(depth, 0.1))
    return np.asarray(np.where(inside, tall, np.nan), np.float64)


def _frames(folder: Path) -> tuple[pd.DataFrame, CameraConfig] | None:
    """A frame each half second that shows what is there, with all that is needed; None where there is none."""
    try:
        camera = read_camera(folder)
    except ValueError:  # pydantic's
        camera = None
    rows = read_rows(folder / FRAMES.output, ["frame", "pts_s"])
    if camera is None or camera.fov_deg is None or rows is None or not {*NEEDED} - {"pitch_deg"} <= set(rows):
        return None
    rows = rows.assign(pitch_deg=rows.get("pitch_deg", np.nan)).fillna({"pitch_deg": camera.pitch_deg or np.nan})
    for mark in _MARKS:
        rows = rows[~rows[mark].eq(True)] if mark in rows else rows
    rows = rows.dropna(subset=["pts_s", *NEEDED])
    rows = rows[(rows["altitude_m"] > PERSON_M) & rows["pitch_deg"].between(-90, 30)]
    rows = rows.groupby(rows["pts_s"].floordiv(_EVERY_S)).first()
    return (rows, camera) if len(rows) else None


def _reach(rows: pd.DataFrame, camera: CameraConfig, recall: Recall) -> float:
    """Metres over the ground in which a person can be large enough."""
    focal = rows["width"].max() / 2 / np.tan(np.radians(camera.fov_deg or 0.0) / 2)
    return float(focal * PERSON_M / recall.from_px[0])


def _grid(rows: pd.DataFrame, reach: float, cell_m: float) -> tuple[Position, tuple[int, int], float]:
    """Corner in the south and west, rows and columns, and side of a cell."""
    across = METRES_A_DEGREE * np.cos(np.radians(rows["latitude"].median()))
    south, north = rows["latitude"].min(), rows["latitude"].max()
    west, east = rows["longitude"].min(), rows["longitude"].max()
    tall, wide = (north - south) * METRES_A_DEGREE + 2 * reach, (east - west) * across + 2 * reach
    while tall * wide / cell_m**2 > _MOST_CELLS:
        cell_m *= 2
    origin = float(south - reach / METRES_A_DEGREE), float(west - reach / across)
    return origin, (int(np.ceil(tall / cell_m)), int(np.ceil(wide / cell_m))), cell_m


def _looks(
    folder: Path,
    rows: pd.DataFrame,
    camera: CameraConfig,
    recall: Recall,
    origin: Position,
    shape: tuple[int, int],
    cell_m: float,
) -> Looks:
    across = METRES_A_DEGREE * np.cos(np.radians(origin[0]))
    north, east = np.meshgrid(*((np.arange(count) + 0.5) * cell_m for count in shape), indexing="ij")
    missed, best, total = np.ones(shape), np.zeros(shape), np.zeros(shape)
    frames, looks = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    first, last = np.full(shape, np.nan), np.full(shape, np.nan)
    for frame in rows.to_dict("records"):
        away = (
            north - (frame["latitude"] - origin[0]) * METRES_A_DEGREE,
            east - (frame["longitude"] - origin[1]) * across,
        )
        heights = heights_px({str(name): value for name, value in frame.items()}, camera.fov_deg or 0.0, *away)
        chance = recall.at(np.nan_to_num(heights))
        seen, now = chance > 0, float(frame["pts_s"])
        another = seen & ~(now - last <= PASS_S)
        missed[another] *= recall.missed(best[another], total[another], frames[another])
        best[another] = total[another] = 0.0
        frames[another] = 0
        looks[another] += 1
        np.maximum(best, chance, out=best)
        total += chance
        frames += seen
        first[seen & np.isnan(first)] = now
        last[seen] = now
    clock, table = flight_clock(folder), read_rows(folder / FRAMES.output, ["pts_s"])
    start = float(table["pts_s"].min()) if table is not None else 0.0
    begin, end = (
        None if clock is None else clock.at(float(rows["pts_s"].iloc[place]) - start) for place in (0, -1)
    )
    missed *= recall.missed(best, total, frames)
    return Looks(folder.name, begin, end, len(rows), missed, looks, first, last)
