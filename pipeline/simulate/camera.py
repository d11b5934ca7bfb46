"""The simulated camera: a pinhole above flat ground.

World: x east, y north, z up, in metres; the ground is z = 0. Image: x right, y down, in pixels, the centre of
the top left pixel at (0, 0).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Camera:
    """A camera at one moment.

    Attributes:
        position: float64 (3,), metres.
        yaw: direction of view over the ground, radians from east towards north.
        pitch: angle of view below the horizon, radians; pi/2 looks straight down.
        roll: turn around the line of sight, radians.
        focal: focal length in pixels.
        width: of the image, in pixels.
        height: of the image, in pixels.

    """

    position: Points
    yaw: float
    pitch: float
    roll: float
    focal: float
    width: int
    height: int

    @cached_property
    def rotation(self) -> Points:
        """float64 (3, 3): rows are the camera's right, down and forward axes in the world."""
        cos_p, sin_p = np.cos(self.pitch), np.sin(self.pitch)
        cos_y, sin_y = np.cos(self.yaw), np.sin(self.yaw)
        forward = np.array([cos_p * cos_y, cos_p * sin_y, -sin_p])
        right = np.array([sin_y, -cos_y, 0.0])
        down = np.cross(forward, right)
        cos_r, sin_r = np.cos(self.roll), np.sin(self.roll)
        return np.stack([cos_r * right + sin_r * down, cos_r * down - sin_r * right, forward])

    @property
    def intrinsics(self) -> Points:
        """float64 (3, 3): camera axes to pixels."""
        return np.array(
            [
                [self.focal, 0, (self.width - 1) / 2],
                [0, self.focal, (self.height - 1) / 2],
                [0, 0, 1],
            ]
        )

    def project(self, points: Points) -> tuple[Points, Points]:
        """Pixels float64 (n, 2) and depths float64 (n,) in metres of world `points` (n, 3)."""
        seen = (points - self.position) @ self.rotation.T
        depth = np.maximum(seen[:, 2], 0.05)
        centre = np.array([(self.width - 1) / 2, (self.height - 1) / 2])
        return seen[:, :2] / depth[:, None] * self.focal + centre, depth

    def ground_homography(self) -> Points:
        """float64 (3, 3): ground (x, y, 1) in metres to pixels, up to scale; the last element is 1."""
        rotation = self.rotation
        columns = np.stack([rotation[:, 0], rotation[:, 1], -rotation @ self.position], axis=1)
        matrix = self.intrinsics @ columns
        return np.asarray(matrix / matrix[2, 2])

    def on_ground(self, pixels: Points) -> Points:
        """Ground points float64 (n, 2), in metres, that `pixels` (n, 2) show."""
        homogeneous = np.concatenate([pixels, np.ones((len(pixels), 1))], axis=1)
        ground = homogeneous @ np.linalg.inv(self.ground_homography()).T
        return np.asarray(ground[:, :2] / ground[:, 2:])
