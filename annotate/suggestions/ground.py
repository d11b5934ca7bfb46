"""Places on the ground, independent of the camera's motion: boxes mapped into the flight's first frame."""

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple

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
    """A person's place in pixels of the first frame of a piece of the flight, with pixels a metre; time in seconds.

    The camera's motion is estimated from frame to frame, so that places drift apart over minutes: compare those
    that are near in time, and of one piece.
    """

    x: float
    y: float
    metre: float
    time: float
    piece: int

    def metres_to(self, other: "Place") -> float:
        """About how far apart the two are.

        By the height of persons, at most: seen from above, a person is lower than a scale is long. By the
        camera's altitude, at least: along the line of sight a metre has fewer pixels than across.
        """
        metre = (self.metre + other.metre) / 2
        return math.hypot(other.x - self.x, other.y - self.y) / max(metre, 1e-6)


def leads_to(ends: NDArray[np.float64], begins: NDArray[np.float64]) -> NDArray[np.float64]:
    """How well each of n places leads to each of m others, float64 (n, m), from 0 to 1.

    1 if at once and on the spot, a third after 1 s or 2 m; 0 where the other is not later, or of another piece.

    Args:
        ends: the places, (n, 5): as `Place`; NaN where they are not known.
        begins: the others, (m, 5).

    """
    seconds = begins[None, :, 3] - ends[:, None, 3]
    pixels = np.hypot(begins[None, :, 0] - ends[:, None, 0], begins[None, :, 1] - ends[:, None, 1])
    metres = pixels / np.maximum((ends[:, None, 2] + begins[None, :, 2]) / 2, 1e-6)
    on = (seconds > 0) & (begins[None, :, 4] == ends[:, None, 4])
    return np.where(on, np.exp(-np.maximum(seconds, 0) - metres / 2), 0.0)


class Flat(NamedTuple):
    """Where boxes are on the ground: arrays (n,).

    Attributes:
        x, y: of the middle of the box's lower edge, pixels of the first frame of its piece.
        metre: how many of these pixels a metre has there.
        piece: number of the piece, from 0.

    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    metre: NDArray[np.float64]
    piece: NDArray[np.int64]


FindPlace = Callable[[str, Seen], Place | None]  # where a detection of a flight is, where the ground is known


class Ground:
    """The ground of one flight.

    Attributes:
        frames: the frames whose motion is known, ascending.

    """

    def __init__(self, motion: Motion, scale: Scale | None = None, cuts: Collection[int] = ()) -> None:
        """Chain the camera's motion.

        Args:
            motion: float32 (2, 3) by frame, from the coordinates of the frame before.
            scale: of the ground, where the camera's altitude and angle are known; else persons are the yardstick.
            cuts: frames that do not show the ground of the frame before: each begins another piece of ground.

        """
        self._scale = scale
        self.frames = np.array(sorted(motion), np.int64)
        back = np.eye(3)
        chain = []
        for frame in self.frames.tolist():
            step = np.vstack([motion[frame], [0.0, 0.0, 1.0]])
            if frame in cuts:
                back = np.eye(3)
            elif abs(np.linalg.det(step)) > 1e-6:
                back = back @ np.linalg.inv(step)
            chain.append(back)
        self._back = np.array(chain) if chain else np.eye(3)[None]
        begins = np.isin(self.frames, list(cuts)) if chain else [False]
        self._piece = np.cumsum(begins, dtype=np.int64)

    def place(self, detection: Detection) -> Place:
        """The place of `detection` on the ground: the middle of the box's lower edge."""
        flat = self.flatten(np.array([detection.frame]), np.array([detection.box]))
        return Place(float(flat.x[0]), float(flat.y[0]), float(flat.metre[0]), detection.time, int(flat.piece[0]))

    def flatten(self, frames: NDArray[np.integer], boxes: NDArray[np.floating]) -> Flat:
        """Where boxes are on the ground.

        Args:
            frames: (n,), in which each box is.
            boxes: (n, 4), xyxy in pixels of the frame.

        """
        at = np.maximum(np.searchsorted(self.frames, frames, side="right") - 1, 0)
        back = self._back[at]
        x1, y1, x2, y2 = boxes.astype(np.float64).T
        feet = np.stack([(x1 + x2) / 2, y2, np.ones(len(boxes))], axis=-1)
        x, y, _ = np.einsum("nij,nj->in", back, feet)
        scale = np.sqrt(np.abs(back[:, 0, 0] * back[:, 1, 1] - back[:, 0, 1] * back[:, 1, 0]))
        return Flat(x, y, self._metres(frames, y2, (y2 - y1) / PERSON_M) * scale, self._piece[at])

    def _metres(
        self, frames: NDArray[np.integer], rows: NDArray[np.float64], by_persons: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Pixels a metre has in each frame at the row: by the scale where that is known, else by the person."""
        if self._scale is None:
            return by_persons
        known = [self._scale(frame, row) for frame, row in zip(frames.tolist(), rows.tolist(), strict=True)]
        pairs = zip(known, by_persons.tolist(), strict=True)
        return np.array([person if metre is None else metre for metre, person in pairs], np.float64)
