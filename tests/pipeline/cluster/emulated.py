"""A detector that finds what a hash of the picture says: quick, the same on each machine, and no network's.

`python -m tests.pipeline.cluster.emulated run …` is `uavpipe run …` with it; EMULATED_MS: its sleep for each frame.
"""

import os
import sys
import time
import zlib
from functools import partial

import numpy as np

from detector.errors import DetectorError
from detector.records import Detections

SLEEP = "EMULATED_MS"


class Emulated:
    """One to four boxes a frame, which move with its pixels.

    Attributes:
        batch_size, workers, runtime: as of every detector.
        used: whether this process has had one predict.

    """

    used = False

    def __init__(self, sleep_s: float = 0.0, runtime: str = "emulated") -> None:
        self.batch_size, self.workers, self.runtime = 2, 1, runtime
        self._sleep_s = sleep_s

    def preprocess(self, image):
        return image

    def predict(self, batch):
        time.sleep(self._sleep_s * len(batch))
        Emulated.used = True
        return [self._boxes(image) for image in batch]

    def _boxes(self, image):
        height, width = image.shape[:2]
        chance = np.random.default_rng(zlib.crc32(image[::8, ::8].tobytes()))
        count = chance.integers(1, 5)
        corner = chance.random((count, 2)) * (width - 40, height - 60)
        boxes = np.hstack([corner, corner + (20, 40) + chance.random((count, 2)) * 15]).astype(np.float32)
        return Detections(boxes, np.sort(chance.uniform(0.2, 1.0, count).astype(np.float32))[::-1].copy())


def load(config, source):
    """As `load_detector` of the chain."""
    return Emulated(float(os.environ.get(SLEEP, "0")) / 1000)


def load_of_process(config, source):
    """As `load`; each process is a machine of its own kind."""
    return Emulated(0.05, f"emulated by {os.getpid()}")


def load_broken(config, source):
    """As `load`, of weights that cannot be used."""
    raise DetectorError(f"{source.path}: damaged")


def main() -> None:
    """Run `uavpipe` with the emulated detector."""
    import pipeline.run.flight
    import pipeline.run.ray_engine
    from pipeline.cli import main as uavpipe
    from tests.pipeline.cluster.emulated import load as by_name  # not of __main__, which the workers lack

    pipeline.run.flight.load_predictor = by_name
    on_ray = pipeline.run.ray_engine.run_flights_on_ray
    pipeline.run.ray_engine.run_flights_on_ray = partial(on_ray, load=by_name)
    uavpipe(sys.argv[1:])


if __name__ == "__main__":
    main()
