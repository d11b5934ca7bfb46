"""Training batches, prepared in a thread while the network computes."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from reid.config import TrainConfig
from reid.records import DISTRACTOR, Samples
from reid.training.augment import CropStore, Draws, augment, draw
from reid.training.sampler import PKSampler, share

_AHEAD = 3


@dataclass(frozen=True, eq=False)
class Batch:
    """One process's images of a batch, and the labels of all processes.

    Attributes:
        crops: uint8 (n, H, W, 3) RGB, before augmentation.
        draws: the augmentation of these n.
        labels: int64 (m,) of all processes' images, in the order of processes, from 0 up.
        numbers: int64 (m,) of the same images among `TrainingBatches.paths`.

    """

    crops: Tensor
    draws: Draws
    labels: Tensor
    numbers: Tensor

    def pinned(self) -> "Batch":
        """The same in memory from which a GPU copies while the host works."""
        table, labels = self.draws.table.pin_memory(), self.labels.pin_memory()
        return Batch(self.crops.pin_memory(), Draws(table), labels, self.numbers.pin_memory())


class TrainingBatches:
    """Batch number t, for any t: a function of the configuration's seed and t alone.

    Attributes:
        classes: number of identities in the data, without distractors and junk.
        size: number of images in a batch, of all processes.
        paths: of the images of these identities.

    Raises:
        ReidError: too few identities, or the batch cannot be divided among the processes.

    """

    def __init__(
        self, samples: Samples, config: TrainConfig, *, process: int = 0, processes: int = 1, pin: bool = False
    ) -> None:
        known = np.flatnonzero(samples.identities > DISTRACTOR)
        persons, labels = np.unique(samples.identities[known], return_inverse=True)
        self._labels = labels.astype(np.int64)
        self._sampler = PKSampler(
            self._labels,
            identities=config.sampler.identities,
            images=config.sampler.images,
            seed=config.seed,
        )
        self.classes, self.size = len(persons), self._sampler.batch_size
        self._own = share(self.size, process, processes)
        self._how, self._seed, self._pin = config.augmentation, config.seed, pin
        self._cropped = (config.network.height, config.network.width)
        height, width = (round(side * config.augmentation.margin) for side in self._cropped)
        self._scaled = (height, width)
        self.paths = [samples.paths[number] for number in known]
        self._store = CropStore(self.paths, height, width, config.cache_gb)

    def __getitem__(self, iteration: int) -> Batch:
        """Batch number `iteration`; reads the images that it needs."""
        numbers = self._sampler.batch(iteration)
        own = range(iteration * self.size, (iteration + 1) * self.size)[self._own]
        draws = draw(self._how, own, seed=self._seed, scaled=self._scaled, size=self._cropped)
        crops = torch.from_numpy(self._store.take(numbers[self._own]))
        batch = Batch(crops, draws, torch.from_numpy(self._labels[numbers]), torch.from_numpy(numbers))
        return batch.pinned() if self._pin else batch

    def between(self, start: int, end: int) -> Iterator[tuple[int, Batch]]:
        """The batches from `start` to below `end`, a few of them prepared ahead."""
        with ThreadPoolExecutor(1, thread_name_prefix="batches") as maker:
            waiting: deque[tuple[int, Future[Batch]]] = deque()
            for iteration in range(start, end):
                waiting.append((iteration, maker.submit(self.__getitem__, iteration)))
                if len(waiting) > _AHEAD:
                    yield _first(waiting)
            while waiting:
                yield _first(waiting)

    def augment(self, batch: Batch, device: torch.device) -> Tensor:
        """The images of `batch` as the network takes them, on `device`: uint8 (n, 3, height, width)."""
        return augment(batch.crops.to(device, non_blocking=True), batch.draws, self._cropped)


def _first(waiting: deque[tuple[int, Future[Batch]]]) -> tuple[int, Batch]:
    iteration, made = waiting.popleft()
    return iteration, made.result()
