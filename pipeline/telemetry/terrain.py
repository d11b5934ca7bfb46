"""Terrain model: elevations from a GeoTIFF, and where a line of sight meets them.

The lines of sight are those of `position.py`. Their camera is at the elevation of the take-off, which the terrain
model gives at the first position of the telemetry, plus the altitude. Only differences of elevations count, so that
it does not matter above which sea level or ellipsoid they are. Between the centres of four cells, an elevation is
bilinear. Along a line of sight, steps of at most half a cell find the first that is below the ground, and bisection
finds the point.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.errors import PipelineError
from pipeline.telemetry.position import METRES_A_DEGREE, FlatGround, Ground
from pipeline.workspace.atomic import read_json, write_json
from pipeline.workspace.folders import TERRAIN

REACH_M = 2_000.0  # around a flight: 5 degrees below the horizon, the ground under 175 m is as far away
_MOST_CELLS = 3_000  # along a side
_MOST_READ = 400_000_000  # cells: as many take a minute
_BISECTIONS = 40
_METRES = {"", "m", "metre", "metres", "meter", "meters"}
_WGS84 = "EPSG:4326"
_EXPECTED = "expected a terrain model, a GeoTIFF with one band of elevations in metres"
_Array = NDArray[np.float64]


@dataclass(frozen=True)
class Terrain:
    """Elevations on a grid of latitudes and longitudes.

    Attributes:
        elevations: metres, float64 (rows, columns), rows from north to south; NaN where not known.
        north: latitude of the first row's centres, degrees, WGS 84.
        west: longitude of the first column's centres.
        cell: height and width of a cell, degrees.

    """

    elevations: _Array
    north: float
    west: float
    cell: tuple[float, float]

    def at(self, latitude: _Array, longitude: _Array) -> _Array:
        """Elevations in metres, float64 (n,), of places in degrees; NaN outside, and beside an unknown one."""
        rows, columns = self.elevations.shape
        y, x = (self.north - latitude) / self.cell[0], (longitude - self.west) / self.cell[1]
        inside = (y >= 0) & (y <= rows - 1) & (x >= 0) & (x <= columns - 1)
        top = np.clip(np.where(inside, y, 0).astype(np.int64), 0, rows - 2)
        left = np.clip(np.where(inside, x, 0).astype(np.int64), 0, columns - 2)
        down, right = y - top, x - left
        upper = self.elevations[top, left] * (1 - right) + self.elevations[top, left + 1] * right
        lower = self.elevations[top + 1, left] * (1 - right) + self.elevations[top + 1, left + 1] * right
        return np.where(inside, upper * (1 - down) + lower * down, np.nan)

    def fall(self, latitude: _Array, longitude: _Array, elevation: _Array, rays: _Array) -> _Array:
        """How far below the camera each line of sight first meets the ground, metres, float64 (n,).

        NaN where it does not: it leaves the model, or the camera is below the ground; or before it meets it, and
        not above the highest elevation that is known, it comes upon an unknown one.

        Args:
            latitude: of the camera, degrees, (n,).
            longitude: of the camera.
            elevation: of the camera, metres.
            rays: metres to the north and east for each metre downwards, (n, 2).

        """
        if np.isnan(self.elevations).all():
            return np.full(len(rays), np.nan)
        lowest, highest = np.nanmin(self.elevations), np.nanmax(self.elevations)
        across = METRES_A_DEGREE * np.cos(np.radians(latitude))
        turn = np.stack([rays[:, 0] / METRES_A_DEGREE, rays[:, 1] / across], axis=1)  # degrees a metre downwards

        def clearance(which: NDArray[np.int64], fall: _Array) -> _Array:
            place = latitude[which] + turn[which, 0] * fall, longitude[which] + turn[which, 1] * fall
            return elevation[which] - fall - self.at(*place)

        with np.errstate(divide="ignore"):  # straight below a single step is enough
            step = self._half_cell(latitude) / np.hypot(*rays.T)
        above = np.maximum(elevation - highest, 0.0)
        below, found = above.copy(), np.full(len(rays), np.nan)
        going = np.flatnonzero(above < elevation - lowest + 1.0)  # not NaN
        going = going[clearance(going, above[going]) >= 0]
        met = [going[:0]]
        while len(going):
            below[going] = np.minimum(above[going] + step[going], elevation[going] - lowest + 1.0)
            left = clearance(going, below[going])
            met.append(going[left <= 0])
            going = going[left > 0]
            above[going] = below[going]
        hit = np.concatenate(met)
        high, low = above[hit], below[hit]
        for _ in range(_BISECTIONS):
            middle = (high + low) / 2
            free = clearance(hit, middle) > 0
            high, low = np.where(free, middle, high), np.where(free, low, middle)
        found[hit] = low
        return found

    def _half_cell(self, latitude: _Array) -> _Array:
        """Metres, (n,): the shorter side's."""
        tall, wide = (side * METRES_A_DEGREE for side in self.cell)
        return np.minimum(tall, wide * np.cos(np.radians(latitude))) / 2


@dataclass(frozen=True)
class Hills:
    """The ground of one flight, as `position.Ground`.

    Attributes:
        file: that `terrain` was read from.
        terrain: around the flight.
        takeoff_m: elevation of the take-off.

    """

    file: Path
    terrain: Terrain
    takeoff_m: float

    def fall(self, latitude: _Array, longitude: _Array, altitude: _Array, rays: _Array) -> _Array:
        """As `Terrain.fall`, for a camera at `altitude` metres above the take-off."""
        return self.terrain.fall(latitude, longitude, self.takeoff_m + altitude, rays)


def remember_terrain(flight: Path, terrain: Path | Literal["off"] | None) -> None:
    """Write the path of the terrain model into the flight's folder; None leaves what is there."""
    content = {"file": None if terrain in (None, "off") else str(Path(terrain).absolute())}
    if terrain is not None and (read_json(flight / TERRAIN) or {"file": None}) != content:
        write_json(flight / TERRAIN, content)


def read_ground(flight: Path, frames: pd.DataFrame) -> Ground:
    """The ground of the flight in the folder `flight`: flat, or the terrain model that `remember_terrain` named.

    Args:
        flight: the flight's folder.
        frames: its table: pts_s, and the drone's latitude and longitude in degrees, where they are known.

    Raises:
        PipelineError: one line: rasterio is missing, the file is not a terrain model, or it does not cover the
            take-off; or the flight's record of it is damaged.

    """
    if not (flight / TERRAIN).exists():
        return FlatGround()
    path = (read_json(flight / TERRAIN) or {}).get("file", 0)
    if not isinstance(path, str | None) or "\0" in (path or ""):
        raise PipelineError(f"{flight / TERRAIN}: damaged; run `uavpipe run` with the flight's configuration")
    if path is None or not {"latitude", "longitude"} <= set(frames):
        return FlatGround()
    places = frames.sort_values("pts_s")[["latitude", "longitude"]].dropna().to_numpy(np.float64)
    if not len(places):
        return FlatGround()
    terrain = read_terrain(Path(path), places)
    takeoff = float(terrain.at(*places[:1].T)[0])
    if np.isnan(takeoff):
        place = f"{places[0, 0]:.5f}, {places[0, 1]:.5f}"
        raise PipelineError(f"{path}: has no elevation at the first position of the telemetry, {place}")
    return Hills(Path(path), terrain, takeoff)


def check_terrain(path: Path) -> None:
    """Check that the file `path` is a terrain model; elevations are not read.

    Raises:
        PipelineError: as `read_ground`.

    """
    with _opened(path):
        pass


def read_terrain(path: Path, places: _Array) -> Terrain:
    """The terrain model in the GeoTIFF `path` around `places`, `REACH_M` beyond them.

    Of any coordinate system, resampled to latitude and longitude; coarser where there would be more than 3000 cells
    along a side.

    Args:
        path: the file.
        places: latitude and longitude in degrees, (n, 2).

    Raises:
        PipelineError: as `read_ground`; or the model is somewhere else, or too fine to be read.

    """
    with _opened(path) as source:
        from rasterio.enums import Resampling
        from rasterio.vrt import WarpedVRT

        kept = {"dtype": "float64", "nodata": np.nan}  # for what is outside of the model, too
        with WarpedVRT(source, crs=_WGS84, resampling=Resampling.bilinear, tolerance=0.01, **kept) as model:
            grid = model.transform
            rows, columns = _around(places, grid, model.shape)
            shape = rows[1] - rows[0], columns[1] - columns[0]
            if min(shape) < 2:
                raise PipelineError(f"{path}: this terrain model does not cover the flight")
            if shape[0] * shape[1] > _MOST_READ:
                raise PipelineError(
                    f"{path}: {shape[0]} x {shape[1]} cells around the flight are too many; resample it to 1 m"
                )
            few = min(shape[0], _MOST_CELLS), min(shape[1], _MOST_CELLS)
            window = {"window": (rows, columns), "out_shape": few, "resampling": Resampling.average}
            read = np.ma.filled(model.read(1, masked=True, **window).astype(np.float64), np.nan)
            elevations = read * source.scales[0] + source.offsets[0]
    cell = -grid.e * shape[0] / few[0], grid.a * shape[1] / few[1]
    north, west = grid.f + grid.e * rows[0] - cell[0] / 2, grid.c + grid.a * columns[0] + cell[1] / 2
    return Terrain(np.where(np.isfinite(elevations), elevations, np.nan), north, west, cell)


def _around(places: _Array, grid: Any, shape: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Rows and columns, each first and after the last, of `REACH_M` around `places` in a raster of `shape`."""
    latitude, longitude = places.T
    tall = REACH_M / METRES_A_DEGREE
    wide = tall / max(float(np.cos(np.radians(np.abs(latitude).max()))), 0.01)
    top, bottom = (grid.f - latitude.max() - tall) / -grid.e, (grid.f - latitude.min() + tall) / -grid.e
    left, right = (longitude.min() - wide - grid.c) / grid.a, (longitude.max() + wide - grid.c) / grid.a
    return (
        (max(int(top), 0), min(int(bottom) + 1, shape[0])),
        (max(int(left), 0), min(int(right) + 1, shape[1])),
    )


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The open data set of `path`; errors of GDAL are one line."""
    try:
        import rasterio
        from rasterio._err import CPLE_BaseError  # GDAL's own, where rasterio passes them on
        from rasterio.errors import CRSError, RasterioError
    except ModuleNotFoundError:
        raise PipelineError(f"{path}: a terrain model needs rasterio; pip install 'uavpipe[terrain]'") from None
    broken = (RasterioError, CRSError, CPLE_BaseError, OSError, ValueError, ArithmeticError, MemoryError)
    logging.getLogger("rasterio").setLevel(logging.CRITICAL)  # what GDAL says is in the exception
    try:
        if not path.is_file():
            raise PipelineError(f"{path}: no such file; {_EXPECTED}")
        # No other format, and no file beside it: a virtual raster would name further files.
        with (
            rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR", GDAL_PAM_ENABLED=False),
            rasterio.open(path.absolute(), driver="GTiff") as source,
        ):
            unit = (source.units[0] or "").strip().lower()
            if source.count != 1:
                raise PipelineError(f"{path}: has {source.count} bands; {_EXPECTED}")
            if unit not in _METRES:
                raise PipelineError(f"{path}: its elevations are in '{unit[:20]}'; {_EXPECTED}")
            if source.crs is None:
                raise PipelineError(f"{path}: names no coordinate system; {_EXPECTED}")
            yield source
    except broken as error:
        said = " ".join(str(error).split())[:120]
        raise PipelineError(f"{path}: cannot be read ({said}); {_EXPECTED}") from None
