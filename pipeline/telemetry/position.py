"""Positions of persons on the ground: latitude and longitude of the feet of boxes, from the drone's telemetry.

The camera of `ground_plane.py`: no roll, above flat ground at the height of the take-off. With u and v the feet's
pixel from the picture's centre in focal lengths, p the pitch below the horizon, and 1 along the line of sight:

    down = sin p + v cos p        forward = (altitude / down) (cos p - v sin p)        right = (altitude / down) u

Forward and right are turned by the heading. An error of one degree in pitch moves a position by 1.7 % of the
altitude straight below, by 3.5 % at 45 degrees, and by 1.8 altitudes where the person is ten altitudes away; ground
that is not level with the take-off adds to it, unless a terrain model is given: then altitude is replaced by how
far below the camera the line of sight first meets the terrain (`terrain.py`).

The circle around a position comes from the same formula: each value of the telemetry is moved by its error,
`ERRORS`, and the moves of the position are added as independent ones. Its radius is that of the circle which holds
90 % of a normal distribution with this covariance, by Satterthwaite's approximation of its squared distance
(Biometrics Bulletin 2, 1946): exact where the two axes are equal, and where one of them is 0.
"""

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import gammaincinv

from pipeline.config.models import CameraConfig
from pipeline.telemetry.ground_plane import EDGE, FLATTEST

METRES_A_DEGREE = 111_320.0  # of latitude; of longitude at the equator
COVERED = 0.9  # share of the positions that are within their circle
# Standard deviations of a drone's telemetry with a plain GNSS receiver, of the place for each axis; and of the
# feet, as a share of the box's height.
ERRORS = {"place_m": 1.5, "altitude_m": 1.0, "pitch_deg": 0.7, "heading_deg": 2.0, "feet": 0.05}
NEEDED = ("altitude_m", "heading_deg", "pitch_deg", "latitude", "longitude", "width", "height")


class Ground(Protocol):
    """What lines of sight meet."""

    def fall(
        self,
        latitude: NDArray[np.float64],
        longitude: NDArray[np.float64],
        altitude: NDArray[np.float64],
        rays: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """How far below the camera each line of sight first meets the ground, metres, float64 (n,); NaN if nowhere.

        Args:
            latitude: of the camera, degrees, WGS 84, (n,).
            longitude: of the camera.
            altitude: of the camera, metres above the take-off.
            rays: metres to the north and east for each metre downwards, (n, 2).

        """


class FlatGround:
    """At the height of the take-off everywhere."""

    def fall(
        self,
        latitude: NDArray[np.float64],
        longitude: NDArray[np.float64],
        altitude: NDArray[np.float64],
        rays: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """As `Ground.fall`."""
        return np.where(altitude > 0, altitude, np.nan)


_FLAT = FlatGround()


def ground_positions(boxes: pd.DataFrame, camera: CameraConfig, ground: Ground = _FLAT) -> NDArray[np.float64]:
    """Latitude and longitude, float64 (n, 2), of the feet of `boxes`.

    NaN where telemetry or angle of view are not known, the ray is less than 5 degrees below the horizon or does not
    meet `ground`, or the box reaches the picture's lower edge, which cuts off the feet.

    Args:
        boxes: x1, x2, y2 in pixels, and at their frame's time the columns `NEEDED`; NaN for what is not known.
        camera: angle of view, and the pitch where telemetry has none.
        ground: flat, or of a terrain model.

    """
    known = _columns(boxes, camera)
    offset = _offset(known, camera, ground)
    across = METRES_A_DEGREE * np.cos(np.radians(known["latitude"]))
    return np.stack(
        [known["latitude"] + offset[:, 0] / METRES_A_DEGREE, known["longitude"] + offset[:, 1] / across], axis=1
    )


def circle_radii(boxes: pd.DataFrame, camera: CameraConfig, ground: Ground = _FLAT) -> NDArray[np.float64]:
    """Radius in metres, float64 (n,), of the circle around each position that holds 90 % of its errors.

    Of `ground_positions`, with errors as in `ERRORS`; the ground has none. NaN where there is no position, or an
    error of the telemetry leads off a terrain model whichever way it goes.

    Args:
        boxes: as for `ground_positions`, with y1.
        camera: as there.
        ground: as there.

    """
    known = _columns(boxes, camera)
    tall = ERRORS["feet"] * (known["y2"] - boxes["y1"].to_numpy(np.float64))
    middle = _offset(known, camera, ground)
    covariance = np.zeros((len(boxes), 2, 2))
    moves = {name: np.full(len(boxes), ERRORS[name]) for name in ("altitude_m", "pitch_deg", "heading_deg")}
    moves |= {name: np.full(len(boxes), ERRORS["place_m"]) for name in ("north_m", "east_m")}
    for name, by in {**moves, "y2": tall}.items():
        # The mean of both directions: near the horizon the farther one may not meet the ground.
        moved = [
            _offset({**known, name: known[name] + sign * by}, camera, ground, cut=False) - middle
            for sign in (1, -1)
        ]
        more, less = moved[0], -moved[1]
        shift = np.where(np.isnan(more), less, np.where(np.isnan(less), more, (more + less) / 2))
        covariance += shift[:, :, None] * shift[:, None, :]
    trace = covariance[:, 0, 0] + covariance[:, 1, 1]
    squares = (covariance**2).sum(axis=(1, 2))  # of the eigenvalues
    quantile = 2 * gammaincinv(trace**2 / squares / 2, COVERED)  # chi2.ppf; scipy.stats takes a second to import
    return np.asarray(np.sqrt(squares / trace * quantile), np.float64)


def _columns(boxes: pd.DataFrame, camera: CameraConfig) -> dict[str, NDArray[np.float64]]:
    """The columns of `boxes`, and `north_m`, `east_m`: how far the camera is from the place in them."""
    known = {name: boxes[name].to_numpy(np.float64) for name in ("x1", "x2", "y2", *NEEDED)}
    if camera.pitch_deg is not None:
        pitch = known["pitch_deg"]
        known["pitch_deg"] = np.where(np.isnan(pitch), camera.pitch_deg, pitch)
    return {**known, "north_m": np.zeros(len(boxes)), "east_m": np.zeros(len(boxes))}


def _offset(
    known: Mapping[str, NDArray[np.float64]], camera: CameraConfig, ground: Ground, cut: bool = True
) -> NDArray[np.float64]:
    """Metres north and east of the place in `known`, float64 (n, 2); where `cut`, not of feet below the edge."""
    rays = _rays(known, camera, cut)
    across = METRES_A_DEGREE * np.cos(np.radians(known["latitude"]))
    latitude = known["latitude"] + known["north_m"] / METRES_A_DEGREE
    longitude = known["longitude"] + known["east_m"] / across
    fall = ground.fall(latitude, longitude, known["altitude_m"], rays)
    return np.stack([known["north_m"], known["east_m"]], axis=1) + rays * fall[:, None]


def _rays(known: Mapping[str, NDArray[np.float64]], camera: CameraConfig, cut: bool) -> NDArray[np.float64]:
    """Metres north and east for each metre downwards, float64 (n, 2); NaN near the horizon, or cut off."""
    if camera.fov_deg is None:
        return np.full((len(known["x1"]), 2), np.nan)
    p, heading = np.radians(-known["pitch_deg"]), np.radians(known["heading_deg"])
    focal = known["width"] / 2 / np.tan(np.radians(camera.fov_deg) / 2)
    u = ((known["x1"] + known["x2"]) / 2 - (known["width"] - 1) / 2) / focal
    v = (known["y2"] - (known["height"] - 1) / 2) / focal
    down = np.sin(p) + v * np.cos(p)
    flat = down < np.sin(FLATTEST) * np.sqrt(1 + u**2 + v**2)
    down = np.where(flat | (cut & (known["y2"] > known["height"] - EDGE)), np.nan, down)
    forward, right = (np.cos(p) - v * np.sin(p)) / down, u / down
    north = forward * np.cos(heading) - right * np.sin(heading)
    east = forward * np.sin(heading) + right * np.cos(heading)
    return np.stack([north, east], axis=1)
