"""Places on the ground, independent of the camera's motion: boxes mapped into the flight's first frame."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotate.operations import Seen
from annotate.records import Detection

PERSON_M = 1.7  # height of a person: the yardstick where no altitude is known
Motion = Mapping[int, NDArray[np.float32]]
Scale = Callable[[int, float], float | None]
"""Pixels a metre has on the ground, by frame and row of the picture; None where that is not known."""


@dataclass(frozen=True)
class Place:
    """A person's place in pixels of the flight's first frame, with pixels a metre; time in seconds.

    The camera's motion is estimated from frame to frame, so that places drift apart over minutes: compare those
    that are near in time.
    """

    x: float
    y: float
    metre: float
    time: float

    def metres_to(self, other: "Place") -> float:
        """About how far apart the two are.

        By the height of persons, at most: seen from above, a person is lower than a scale is long. By the
        camera's altitude, at least: along the line of sight a metre has fewer pixels than across.
        """
        metre = (self.metre + other.metre) / 2
        return math.hypot(other.x - self.x, other.y - self.y) / max(metre, 1e-6)


def leads_to(ends: NDArray[np.float64], begins: NDArray[np.float64]) -> NDArray[np.float64]:
    """How well each of n places leads to each of m others, float64 (n, m), from 0 to 1.

    1 if at once and on the spot, a third after 1 s or 2 m; 0 where the other is not later.

    Args:
        ends: the places, (n, 4): x, y, metre and time, as in `Place`; NaN where they are not known.
        begins: the others, (m, 4).

    """
    seconds = begins[None, :, 3] - ends[:, None, 3]
    pixels = np.hypot(begins[None, :, 0] - ends[:, None, 0], begins[None, :, 1] - ends[:, None, 1])
    metres = pixels / np.maximum((ends[:, None, 2] + begins[None, :, 2]) / 2, 1e-6)
    return np.where(seconds > 0, np.exp(-np.maximum(seconds, 0) - metres / 2), 0.0)


FindPlace = Callable[[str, Seen], Place | None]  # where a detection of a flight is, where the ground is known


class Ground:
    """The ground of one flight.

    Attributes:
        frames: the frames whose motion is known, ascending.

    """

    def __init__(self, motion: Motion, scale: Scale | None = None) -> None:
        """Chain the camera's motion.

        Args:
            motion: float32 (2, 3) by frame, from the coordinates of the frame before.
            scale: of the ground, where the camera's altitude and angle are known; else persons are the yardstick.

        """
        self._scale = scale
        self.frames = np.array(sorted(motion), np.int64)
        back = np.eye(3)
        chain = []
        for frame in self.frames.tolist():
            step = np.vstack([motion[frame], [0.0, 0.0, 1.0]])
            back = back @ np.linalg.inv(step) if abs(np.linalg.det(step)) > 1e-6 else back
            chain.append(back)
        self._back = np.array(chain) if chain else np.eye(3)[None]

    def place(self, detection: Detection) -> Place:
        """The place of `detection` on the ground: the middle of the box's lower edge."""
        at = int(np.searchsorted(self.frames, detection.frame, side="right")) - 1
        back = self._back[max(at, 0)]
        x1, y1, x2, y2 = detection.box
        x, y, _ = back @ np.array([(x1 + x2) / 2, y2, 1.0])
        scale = np.sqrt(abs(np.linalg.det(back[:2, :2])))
        metre = self._scale(detection.frame, y2) if self._scale else None
        if metre is None:
            metre = (y2 - y1) / PERSON_M
        return Place(float(x), float(y), float(metre * scale), detection.time)
