"""Sampling of batches: P identities with K images each (Hermans et al. 2017), by iteration."""

import logging

import numpy as np
from numpy.typing import NDArray

from reid.errors import ReidError

_log = logging.getLogger(__name__)
_ORDER, _IMAGES = 0, 1  # two independent streams of random numbers


class PKSampler:
    """Batches of `identities` persons with `images` each.

    An epoch shuffles the persons and takes them P by P, so that each comes once; the remainder at its end is
    dropped, as in Hermans et al. A person with K images or more has no image twice in a batch; with fewer, all come
    before any is repeated.

    Args:
        labels: int64 (n,), the persons' labels; a batch has indices into it.
        identities: P. If there are fewer persons, a batch has all of them, and a warning says so.
        images: K.
        seed: of all draws.

    Raises:
        ReidError: fewer than two persons.

    """

    def __init__(self, labels: NDArray[np.int64], *, identities: int, images: int, seed: int) -> None:
        order = np.argsort(labels, kind="stable")
        persons, starts = np.unique(labels[order], return_index=True)
        if len(persons) < 2:
            raise ReidError(f"training needs at least 2 identities, found {len(persons)}; label more persons")
        if len(persons) < identities:
            _log.warning(
                "a batch should have %d identities, the data have %d: batches of %d x %d instead",
                identities,
                len(persons),
                len(persons),
                images,
            )
        self._members = np.split(order, starts[1:])
        self._identities, self._images, self._seed = min(identities, len(persons)), images, seed

    @property
    def batch_size(self) -> int:
        """Images in a batch."""
        return self._identities * self._images

    def batch(self, iteration: int) -> NDArray[np.int64]:
        """The images of batch `iteration` (from 0): int64 (P * K,), those of a person next to each other."""
        epoch, place = divmod(iteration, len(self._members) // self._identities)
        order = np.random.default_rng((self._seed, _ORDER, epoch)).permutation(len(self._members))
        rng = np.random.default_rng((self._seed, _IMAGES, iteration))
        first = place * self._identities
        return np.concatenate([self._draw(rng, person) for person in order[first : first + self._identities]])

    def _draw(self, rng: np.random.Generator, person: int) -> NDArray[np.int64]:
        return np.resize(rng.permutation(self._members[person]), self._images)


def share(batch_size: int, process: int, processes: int) -> slice:
    """The part of a batch that process number `process` (from 0) works on.

    Raises:
        ReidError: the batch cannot be divided among them.

    """
    if batch_size % processes:
        raise ReidError(f"a batch of {batch_size} images does not divide among {processes} processes")
    size = batch_size // processes
    return slice(process * size, (process + 1) * size)
