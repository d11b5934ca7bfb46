"""The interface of all backends, through which detectors are used."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from detector.records import Detections


class PersonDetector(Protocol):
    """A detector; `preprocess` and `predict` may run in different threads, and in several at once.

    Attributes:
        batch_size: images that `predict` should get at once; pieces, where it cuts them.
        workers: threads that should call `predict` at once.
        runtime: what computes, with its versions: recorded with the result, whose last bits it decides.

    """

    batch_size: int
    workers: int
    runtime: str

    def preprocess(self, image: NDArray[np.uint8]) -> Any:
        """Prepare `image` (uint8 (H, W, 3) RGB) for `predict`; raises ValueError for another type or shape.

        What has `pieces` counts as so many images of a batch; see `detector.backends.batches`.
        """

    def predict(self, batch: Sequence[Any]) -> list[Detections]:
        """The persons in each preprocessed image: boxes in pixels of the original, best first."""
