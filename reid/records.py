"""Records that data sets hand to training and evaluation; they check themselves where they are made."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

JUNK = -1  # a crop that shows nobody in particular: neither right nor wrong in a ranking
DISTRACTOR = 0  # somebody who is no query: always wrong


@dataclass(frozen=True, eq=False)
class Samples:
    """Who is on which crop, seen where; the crops of a split, or the rows of a feature matrix.

    Attributes:
        identities: int64 (n,); from 1 up persons, `DISTRACTOR` and `JUNK` as Market-1501 has them.
        cameras: int64 (n,); the camera, or the flight where one drone is all there is. From 0 up.
        tracklets: int64 (n,), unique over the data set; -1: not known.
        paths: the n image files; empty where only features are at hand.

    Raises:
        ValueError: a shape or a type is not as above.

    """

    identities: NDArray[np.int64]
    cameras: NDArray[np.int64]
    tracklets: NDArray[np.int64]
    paths: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        for name in ("identities", "cameras", "tracklets"):
            values = getattr(self, name)
            if values.dtype != np.int64 or values.shape != (len(self.identities),):
                raise ValueError(
                    f"{name} must be int64 ({len(self.identities)},), not {values.dtype} {values.shape}"
                )
        if self.paths and len(self.paths) != len(self.identities):
            raise ValueError(f"{len(self.paths)} paths for {len(self.identities)} samples")
        if len(self.identities) and self.identities.min() < JUNK:
            raise ValueError(f"identity {self.identities.min()}: expected 1 and up, {DISTRACTOR} or {JUNK}")

    def __len__(self) -> int:
        return len(self.identities)


@dataclass(frozen=True, eq=False)
class ReidData:
    """A re-identification data set: identities of `train` do not occur in `query` and `gallery`.

    Attributes:
        name: of the set, for people.
        train: what a model learns from.
        query: who is looked for.
        gallery: among whom.

    """

    name: str
    train: Samples
    query: Samples
    gallery: Samples
