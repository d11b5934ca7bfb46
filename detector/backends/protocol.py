"""What every backend offers, and the only thing that those who use a detector know of it."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from detector.records import Detections


class PersonDetector(Protocol):
    """What every backend offers; `preprocess` and `predict` may run in different threads, and in several at once.

    Attributes:
        batch_size: images that `predict` should get at once.
        workers: threads that should call `predict` at once.

    """

    batch_size: int
    workers: int

    def preprocess(self, image: NDArray[np.uint8]) -> Any:
        """Make `image` (uint8 (H, W, 3) RGB) ready for `predict`; raises ValueError for anything else."""

    def predict(self, batch: Sequence[Any]) -> list[Detections]:
        """The persons in each preprocessed image: boxes in pixels of the original, best first."""
