"""Records that the detector hands out; they check themselves, so that a wrong shape stops where it is made."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Detections:
    """Persons found in one image.

    Attributes:
        boxes: float32 (n, 4), xyxy in pixels of the original image, origin at its top left corner.
        scores: float32 (n,), in [0, 1], highest first.

    Raises:
        ValueError: a shape, a type or the order of the scores is not as above.

    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.boxes.dtype != np.float32 or self.boxes.ndim != 2 or self.boxes.shape[1] != 4:
            raise ValueError(f"boxes must be float32 (n, 4), not {self.boxes.dtype} {self.boxes.shape}")
        if self.scores.dtype != np.float32 or self.scores.shape != self.boxes.shape[:1]:
            raise ValueError(
                f"scores must be float32 ({len(self.boxes)},), not {self.scores.dtype} {self.scores.shape}"
            )
        if np.any(np.diff(self.scores) > 0):
            raise ValueError("scores must fall: highest first")

    def __len__(self) -> int:
        return len(self.scores)

    def above(self, threshold: float) -> "Detections":
        """The detections whose score is at least `threshold`."""
        keep = self.scores >= threshold
        return Detections(self.boxes[keep], self.scores[keep])


NOTHING = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))
