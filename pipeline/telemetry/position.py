"""Positions of persons on the ground: latitude and longitude of the feet of boxes, from the drone's telemetry.

The camera of `ground_plane.py`: no roll, above flat ground at the height of the take-off. With u and v the feet's
pixel from the picture's centre in focal lengths, p the pitch below the horizon, and 1 along the line of sight:

    down = sin p + v cos p        forward = (altitude / down) (cos p - v sin p)        right = (altitude / down) u

Forward and right are turned by the heading. An error of one degree in pitch moves a position by 1.7 % of the
altitude straight below, by 3.5 % at 45 degrees, and by 1.8 altitudes where the person is ten altitudes away; ground
that is not level with the take-off adds to it.

The circle around a position comes from the same formula: each value of the telemetry is moved by its error,
`ERRORS`, and the moves of the position are added as independent ones. Its radius is that of the circle which holds
90 % of a normal distribution with this covariance, by Satterthwaite's approximation of its squared distance
(Biometrics Bulletin 2, 1946): exact where the two axes are equal, and where one of them is 0.
"""

from collections.abc import Mapping

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


def ground_positions(boxes: pd.DataFrame, camera: CameraConfig) -> NDArray[np.float64]:
    """Latitude and longitude, float64 (n, 2), of the feet of `boxes`.

    NaN where telemetry or angle of view are not known, the ray is less than 5 degrees below the horizon, or the box
    reaches the picture's lower edge, which cuts off the feet.

    Args:
        boxes: x1, x2, y2 in pixels, and at their frame's time the columns `NEEDED`; NaN for what is not known.
        camera: angle of view, and the pitch where telemetry has none.

    """
    known = _columns(boxes, camera)
    offset = _offset(known, camera)
    across = METRES_A_DEGREE * np.cos(np.radians(known["latitude"]))
    return np.stack(
        [known["latitude"] + offset[:, 0] / METRES_A_DEGREE, known["longitude"] + offset[:, 1] / across], axis=1
    )


def circle_radii(boxes: pd.DataFrame, camera: CameraConfig) -> NDArray[np.float64]:
    """Radius in metres, float64 (n,), of the circle around each position that holds 90 % of its errors.

    Of `ground_positions`, on flat ground, with errors as in `ERRORS`. NaN where there is no position.

    Args:
        boxes: as for `ground_positions`, with y1.
        camera: as there.

    """
    known = _columns(boxes, camera)
    tall = ERRORS["feet"] * (known["y2"] - boxes["y1"].to_numpy(np.float64))
    middle = _offset(known, camera)
    covariance = np.zeros((len(boxes), 2, 2)) + ERRORS["place_m"] ** 2 * np.eye(2)
    moves = {name: np.full(len(boxes), ERRORS[name]) for name in ("altitude_m", "pitch_deg", "heading_deg")}
    for name, by in {**moves, "y2": tall}.items():
        # The mean of both directions: near the horizon the farther one may not meet the ground.
        moved = [_offset({**known, name: known[name] + sign * by}, camera, cut=False) - middle for sign in (1, -1)]
        more, less = moved[0], -moved[1]
        shift = np.where(np.isnan(more), less, np.where(np.isnan(less), more, (more + less) / 2))
        covariance += shift[:, :, None] * shift[:, None, :]
    trace = covariance[:, 0, 0] + covariance[:, 1, 1]
    squares = (covariance**2).sum(axis=(1, 2))  # of the eigenvalues
    quantile = 2 * gammaincinv(trace**2 / squares / 2, COVERED)  # chi2.ppf; scipy.stats takes a second to import
    return np.asarray(np.sqrt(squares / trace * quantile), np.float64)


def _columns(boxes: pd.DataFrame, camera: CameraConfig) -> dict[str, NDArray[np.float64]]:
    known = {name: boxes[name].to_numpy(np.float64) for name in ("x1", "x2", "y2", *NEEDED)}
    if camera.pitch_deg is not None:
        pitch = known["pitch_deg"]
        known["pitch_deg"] = np.where(np.isnan(pitch), camera.pitch_deg, pitch)
    return known


def _offset(
    known: Mapping[str, NDArray[np.float64]], camera: CameraConfig, cut: bool = True
) -> NDArray[np.float64]:
    """Metres north and east of the camera, float64 (n, 2); where `cut`, NaN for feet below the picture's edge."""
    if camera.fov_deg is None:
        return np.full((len(known["x1"]), 2), np.nan)
    p, heading = np.radians(-known["pitch_deg"]), np.radians(known["heading_deg"])
    focal = known["width"] / 2 / np.tan(np.radians(camera.fov_deg) / 2)
    u = ((known["x1"] + known["x2"]) / 2 - (known["width"] - 1) / 2) / focal
    v = (known["y2"] - (known["height"] - 1) / 2) / focal
    down = np.sin(p) + v * np.cos(p)
    flat = down < np.sin(FLATTEST) * np.sqrt(1 + u**2 + v**2)
    unseen = flat | ~(known["altitude_m"] > 0) | (cut & (known["y2"] > known["height"] - EDGE))
    scale = known["altitude_m"] / np.where(unseen, np.nan, down)
    forward, right = scale * (np.cos(p) - v * np.sin(p)), scale * u
    north = forward * np.cos(heading) - right * np.sin(heading)
    east = forward * np.sin(heading) + right * np.cos(heading)
    return np.stack([north, east], axis=1)
