"""The one way to a working detector: weights, backend and tiles as the configuration says."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from detector.config import DetectorConfig
from detector.records import Detections
from detector.weights import WeightsSource, resolve


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


def load_predictor(config: DetectorConfig, source: WeightsSource | None = None) -> PersonDetector:
    """The detector that `config` describes, with the weights it names (or `source`).

    Raises:
        DetectorError: no such weights, damaged ones, of another architecture, no such device, or a backend that
            is not installed.

    """
    source = source or resolve(config.weights, config.preset)
    predictor = _backend(config, source)
    if config.tiles is None:
        return predictor
    from detector.tiles import TiledPredictor

    return TiledPredictor(predictor, config)


def _backend(config: DetectorConfig, source: WeightsSource) -> PersonDetector:
    from detector.predictor import Predictor

    return Predictor.load(config, source)
