"""Training batches, loaded by worker processes."""

import signal
from collections.abc import Iterator

import cv2
from torch.utils.data import DataLoader

from detector.config import Resize, TrainConfig
from detector.errors import DetectorError
from detector.training.data import Batch, TrainingSamples, collate


class TrainingBatches:
    """Batch number n, for any n: the samples that n names, of which each process loads its share.

    Args:
        config: the recipe.
        rule: how whole images are scaled.
        process: number of this process, from 0.
        processes: how many of them share a batch.
        pin: whether batches go to a GPU, which copies faster from pinned memory.

    Raises:
        DetectorError: a batch does not divide among the processes.

    """

    def __init__(self, config: TrainConfig, rule: Resize, *, process: int, processes: int, pin: bool) -> None:
        if config.batch_size % processes:
            raise DetectorError(f"batch_size {config.batch_size} does not divide among {processes} processes")
        self._config, self._rule, self._pin = config, rule, pin
        self._process, self._processes = process, processes

    def between(self, start: int, stop: int) -> Iterator[tuple[int, Batch]]:
        """Number and batch of the iterations from `start` up to, but not including, `stop`."""
        config = self._config
        samples = TrainingSamples(
            config.train,
            config.augmentation,
            self._rule,
            seed=config.seed,
            count=config.iterations * config.batch_size,
            cache_gb=config.cache_gb,
        )
        loader = DataLoader(
            samples,
            batch_sampler=[self.numbers(at) for at in range(start, stop)],  # type: ignore[misc]
            collate_fn=collate,
            num_workers=config.workers,
            pin_memory=self._pin,
            worker_init_fn=_quiet_worker,
        )
        # A forked worker would wait forever for the threads of OpenCV that were idle at the fork.
        threads = cv2.getNumThreads()
        cv2.setNumThreads(1)
        batches = iter(loader)  # forks
        cv2.setNumThreads(threads)
        return enumerate(batches, start=start)

    def numbers(self, iteration: int) -> range:
        """The numbers of the samples of `iteration` that this process loads: one in every `processes`."""
        first, size = iteration * self._config.batch_size, self._config.batch_size
        return range(first + self._process, first + size, self._processes)


def _quiet_worker(worker: int) -> None:
    # The main process answers a signal to the whole process group: it saves, then ends its workers.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
