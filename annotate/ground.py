"""Where persons stand, whatever the camera does: boxes carried into the picture of the flight's first frame."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotate.records import Detection

PERSON_M = 1.7  # height of a person: the yardstick, as no altitude is known
Motion = Mapping[int, NDArray[np.float32]]


@dataclass(frozen=True)
class Place:
    """Where and how large a person is, in pixels of the flight's first frame; time in seconds.

    The camera's motion is estimated from frame to frame, so that places drift apart over minutes: compare those
    that are near in time.
    """

    x: float
    y: float
    height: float
    time: float

    def metres_to(self, other: "Place") -> float:
        """About how far apart the two are, at most: seen from above, a person is lower than a scale is long."""
        metre = (self.height + other.height) / 2 / PERSON_M
        return float(np.hypot(other.x - self.x, other.y - self.y)) / max(metre, 1e-6)


class Ground:
    """The ground of one flight.

    Attributes:
        frames: the frames whose motion is known, ascending.

    """

    def __init__(self, motion: Motion) -> None:
        """Follow the camera through `motion`: float32 (2, 3) by frame, from the coordinates of the frame before."""
        self.frames = np.array(sorted(motion), np.int64)
        back = np.eye(3)
        chain = []
        for frame in self.frames.tolist():
            step = np.vstack([motion[frame], [0.0, 0.0, 1.0]])
            back = back @ np.linalg.inv(step) if abs(np.linalg.det(step)) > 1e-6 else back
            chain.append(back)
        self._back = np.array(chain) if chain else np.eye(3)[None]

    def place(self, detection: Detection) -> Place:
        """Where the person of `detection` stands: the middle of the box's lower edge."""
        at = int(np.searchsorted(self.frames, detection.frame, side="right")) - 1
        back = self._back[max(at, 0)]
        x1, y1, x2, y2 = detection.box
        x, y, _ = back @ np.array([(x1 + x2) / 2, y2, 1.0])
        scale = np.sqrt(abs(np.linalg.det(back[:2, :2])))
        return Place(float(x), float(y), float((y2 - y1) * scale), detection.time)
