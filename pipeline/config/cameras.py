"""The angle of view of common drones' cameras, from what their makers state."""

import difflib
import math
from typing import NamedTuple

_DIAGONAL_MM = math.hypot(36, 24)  # of 35 mm film, to which the stated focal lengths are converted


class Camera(NamedTuple):
    """A camera as its maker states it.

    Attributes:
        name: the drone, and which of its cameras.
        focal_mm: focal length, converted to 35 mm film.
        aspect: of the sensor, width by height.
        diagonal_deg: angle of view of the whole sensor, from corner to corner.

    """

    name: str
    focal_mm: float
    aspect: float
    diagonal_deg: float

    @property
    def fov_deg(self) -> float:
        """Horizontal angle of view of a video that uses the sensor's whole width, degrees.

        The conversion keeps the diagonal, so that the film which corresponds to the sensor has its aspect.
        """
        width = _DIAGONAL_MM * self.aspect / math.hypot(self.aspect, 1)
        return math.degrees(2 * math.atan(width / 2 / self.focal_mm))


CAMERAS = {
    "air2s": Camera("DJI Air 2S", 22, 3 / 2, 88),
    "air3": Camera("DJI Air 3, wide", 24, 4 / 3, 82),
    "air3s": Camera("DJI Air 3S, wide", 24, 4 / 3, 84),
    "h20": Camera("DJI Zenmuse H20, H20T, wide", 24, 4 / 3, 82.9),
    "m30": Camera("DJI Matrice 30, 30T, wide", 24, 4 / 3, 84),
    "mavic2enterprise": Camera("DJI Mavic 2 Enterprise Advanced, visual", 24, 4 / 3, 84),
    "mavic2pro": Camera("DJI Mavic 2 Pro", 28, 3 / 2, 77),
    "mavic2zoom": Camera("DJI Mavic 2 Zoom, not zoomed", 24, 4 / 3, 83),
    "mavic3": Camera("DJI Mavic 3, Cine, Classic, Pro, wide", 24, 4 / 3, 84),
    "mavic3enterprise": Camera("DJI Mavic 3E, 3T, wide", 24, 4 / 3, 84),
    "mavicair": Camera("DJI Mavic Air", 24, 4 / 3, 85),
    "mavicair2": Camera("DJI Mavic Air 2", 24, 4 / 3, 84),
    "mavicpro": Camera("DJI Mavic Pro, Platinum", 26, 4 / 3, 78.8),
    "mini": Camera("DJI Mavic Mini, Mini SE", 24, 4 / 3, 83),
    "mini2": Camera("DJI Mini 2, 2 SE", 24, 4 / 3, 83),
    "mini3": Camera("DJI Mini 3, 3 Pro", 24, 4 / 3, 82.1),
    "mini4pro": Camera("DJI Mini 4 Pro", 24, 4 / 3, 82.1),
    "phantom3": Camera("DJI Phantom 3 Advanced, Professional", 20, 4 / 3, 94),
    "phantom4": Camera("DJI Phantom 4", 20, 4 / 3, 94),
    "phantom4pro": Camera("DJI Phantom 4 Pro, Advanced, RTK", 24, 3 / 2, 84),
    "spark": Camera("DJI Spark", 25, 4 / 3, 81.9),
    "x4s": Camera("DJI Zenmuse X4S", 24, 3 / 2, 84),
}


def camera(name: str) -> Camera:
    """The camera called `name`, whatever its case, blanks, dashes and underscores.

    Raises:
        ValueError: it is not known.

    """
    short = "".join(letter for letter in name.lower() if letter not in " -_").removeprefix("dji")
    if short not in CAMERAS:
        close = difflib.get_close_matches(short, CAMERAS, 3, 0.5) or sorted(CAMERAS)
        raise ValueError(f"{name!r} is not a known camera; expected {', '.join(close)}, or fov_deg instead")
    return CAMERAS[short]
