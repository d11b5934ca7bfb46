"""Records that training and evaluation take: samples and data sets; they validate themselves."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

JUNK = -1  # a crop without an identifiable person: neither right nor wrong in a ranking
DISTRACTOR = 0  # a person who is no query: always wrong


class Picture(Protocol):
    """An image that is kept within another file. It is taken wherever an image file's `Path` is, which is one, too.

    `str` gives what errors call it.
    """

    @property
    def name(self) -> str:
        """As a file's, without folders."""

    def read_bytes(self) -> bytes:
        """The bytes of the image; an OSError says why they cannot be read."""


@dataclass(frozen=True, eq=False)
class Samples:
    """Identity, camera and tracklet of each crop of a split, or of each row of a feature matrix.

    Attributes:
        identities: int64 (n,); persons from 1 up, `DISTRACTOR` or `JUNK`, as in Market-1501.
        cameras: int64 (n,); the camera, or the flight where there is one drone only. From 0 up.
        tracklets: int64 (n,), unique over the data set; -1: unknown.
        paths: the n images; empty where only features are known.
        altitudes: float64 (n,), of the drone, metres above take-off, NaN where unknown; (0,) where none is known.

    Raises:
        ValueError: a shape or a type is not as above.

    """

    identities: NDArray[np.int64]
    cameras: NDArray[np.int64]
    tracklets: NDArray[np.int64]
    paths: tuple[Path | Picture, ...] = ()
    altitudes: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        for name in ("identities", "cameras", "tracklets"):
            values = getattr(self, name)
            if values.dtype != np.int64 or values.shape != (len(self.identities),):
                raise ValueError(
                    f"{name} must be int64 ({len(self.identities)},), not {values.dtype} {values.shape}"
                )
        if self.paths and len(self.paths) != len(self.identities):
            raise ValueError(f"{len(self.paths)} paths for {len(self.identities)} samples")
        if self.altitudes.dtype != np.float64 or self.altitudes.shape not in ((0,), (len(self.identities),)):
            raise ValueError(
                f"altitudes must be float64 ({len(self.identities)},), not {self.altitudes.dtype} "
                f"{self.altitudes.shape}"
            )
        if len(self.identities) and self.identities.min() < JUNK:
            raise ValueError(f"identity {self.identities.min()}: expected 1 and up, {DISTRACTOR} or {JUNK}")

    def __len__(self) -> int:
        return len(self.identities)

    def at(self, rows: NDArray[np.int64]) -> "Samples":
        """The samples in `rows`."""
        return Samples(
            self.identities[rows],
            self.cameras[rows],
            self.tracklets[rows],
            tuple(self.paths[row] for row in rows) if self.paths else (),
            self.altitudes[rows] if len(self.altitudes) else self.altitudes,
        )


@dataclass(frozen=True, eq=False)
class ReidData:
    """A re-identification data set: identities of `train` do not occur in `query` and `gallery`.

    Attributes:
        name: of the data set, shown to people.
        train: the crops to train on.
        query: the crops whose persons are searched.
        gallery: the crops that are ranked for each query.

    """

    name: str
    train: Samples
    query: Samples
    gallery: Samples
