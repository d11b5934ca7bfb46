"""Ground plane of a camera of known height and angle: pixels become metres on flat ground.

A pinhole without roll at `altitude_m` above flat ground. With v = (y - centre) / focal, a pixel's row is
atan(v) below the line of sight, so that its ray falls at the angle a = pitch + atan(v) below the horizon. A ray
that meets the ground does so at the distance altitude / tan(a). A person stands upright where the row of the feet
meets the ground, and the row of the head passes that distance at the height

    altitude * (1 - tan(a_head) / tan(a_feet))

(Hartley and Zisserman, *Multiple View Geometry*, 2004, chapter 8: single view metrology.) Take-off lower or higher
than the ground in the picture, hills, a tilted horizon, and the depth of a body seen steeply from above (which
makes it look taller) add errors: it separates persons from bushes and houses, not tall persons from short.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.chain.table import FRAMES
from pipeline.config.models import CameraConfig
from pipeline.errors import PipelineError
from pipeline.workspace.atomic import read_json, write_json
from pipeline.workspace.folders import CAMERA
from pipeline.workspace.tables import read_table

FLATTEST, _STEEPEST = np.radians(5.0), np.radians(60.0)  # angles at which rows give a height
log = logging.getLogger("uavpipe")
_TALL_M, _DEEP_M = 1.7, 0.5  # a standing person, and what of it lies across the view from above
EDGE = 2.0  # px: a box that touches the picture's edge shows part of a person


@dataclass(frozen=True)
class View:
    """The camera at one moment.

    Attributes:
        altitude_m: above the ground, more than 0.
        pitch_deg: 0 level, -90 straight down.
        fov_deg: horizontal angle of view.
        width: of the picture, px.
        height: of the picture, px.

    """

    altitude_m: float
    pitch_deg: float
    fov_deg: float
    width: int
    height: int

    @property
    def focal(self) -> float:
        """Focal length in pixels."""
        return self.width / 2 / float(np.tan(np.radians(self.fov_deg) / 2))

    def person_height(self, box: Sequence[float]) -> float | None:
        """Height in metres of who fills `box` (xyxy, px).

        None where rows do not give it: seen from steeply above, near the horizon, or cut off by the picture's edge.
        """
        _, top, _, bottom = (float(value) for value in box)
        if top < EDGE or bottom > self.height - EDGE:
            return None
        feet, head = self._below_horizon(bottom), self._below_horizon(top)
        if not FLATTEST <= feet <= _STEEPEST:
            return None
        return float(self.altitude_m * (1 - np.tan(head) / np.tan(feet)))

    def pixels_per_metre(self, y: float) -> float | None:
        """How many pixels a metre on the ground has, across the line of sight, at row `y`; None at the horizon."""
        fall = np.sin(self._below_horizon(y))
        if fall < np.sin(FLATTEST):
            return None
        along = np.hypot(1, self._v(y))  # of a ray, per unit of depth
        return float(self.focal * fall * along / self.altitude_m)

    def person_pixels(self, y: float) -> float | None:
        """Height in px of the box of a standing person at row `y`; None at the horizon."""
        scale, fall = self.pixels_per_metre(y), self._below_horizon(y)
        if scale is None:
            return None
        return float(scale * (_TALL_M * abs(np.cos(fall)) + _DEEP_M * np.sin(fall)))

    def _v(self, y: float) -> float:
        return (y - (self.height - 1) / 2) / self.focal

    def _below_horizon(self, y: float) -> float:
        return float(np.radians(-self.pitch_deg) + np.arctan(self._v(y)))


def make_view(
    camera: CameraConfig, altitude_m: float | None, pitch_deg: float | None, width: int, height: int
) -> View | None:
    """The view of a frame of `width` x `height` px; None where the telemetry and `camera` do not say enough."""
    pitch = camera.pitch_deg if pitch_deg is None else pitch_deg
    if camera.fov_deg is None or pitch is None or altitude_m is None or altitude_m <= 0 or not -90 <= pitch <= 30:
        return None
    return View(altitude_m, pitch, camera.fov_deg, width, height)


def remember_camera(flight: Path, camera: CameraConfig) -> None:
    """Write the configuration of the camera into the flight's folder, for the labelling app."""
    content = camera.model_dump()
    if read_json(flight / CAMERA) not in (content, None if camera.fov_deg is None else content):
        write_json(flight / CAMERA, content)


def read_camera(flight: Path) -> CameraConfig | None:
    """The camera that `remember_camera` wrote for the flight in folder `flight`; None where it did not.

    Raises:
        ValueError: the file describes no camera.

    """
    content = read_json(flight / CAMERA)
    return None if content is None else CameraConfig.model_validate(content)


def ground_scale(flight: Path) -> Callable[[int, float], float | None] | None:
    """Pixels a metre on the ground by frame and row, for the flight in folder `flight`; None where it is not known.

    Read from its table of frames and `camera.json`. Damage there is worth a warning: the scale then comes from the
    height of persons.
    """
    try:
        views = _views(flight)
    except (PipelineError, ValueError, OSError, KeyError, TypeError) as error:  # ValueError: pydantic's too
        log.warning("%s: its scale cannot be read: %s", flight, " ".join(str(error).split())[:120])
        return None

    def scale(frame: int, y: float) -> float | None:
        view = views.get(frame)
        return None if view is None else view.pixels_per_metre(y)

    return scale if any(views.values()) else None


def _views(flight: Path) -> dict[int, View | None]:
    camera, table = read_camera(flight), flight / FRAMES.output
    if camera is None or not table.exists():
        return {}
    rows = read_table(table)
    if "altitude_m" not in rows:
        return {}
    known = rows.dropna(subset=["altitude_m", "width"])
    columns = ["frame", "altitude_m", "pitch_deg", "width", "height"]
    return {
        int(frame): make_view(camera, altitude, None if np.isnan(pitch) else pitch, int(width), int(height))
        for frame, altitude, pitch, width, height in known[columns].to_numpy(np.float64).tolist()
    }
