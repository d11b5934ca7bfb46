"""The features of larger networks as a target for a smaller one's (Hinton et al. 2015)."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reid.config import DistillationConfig
from reid.embedder import Embedder
from reid.errors import ReidError
from reid.files import atomic_file
from reid.records import Picture

TARGETS_FILE = "targets.npy"


def read_targets(
    folder: Path,
    config: DistillationConfig,
    paths: Sequence[Path | Picture],
    dimension: int,
    say: Callable[[str], None] = lambda text: None,
    device: str = "auto",
) -> Tensor:
    """What the features of the images are to be: float32 (n, dimension), each of length 1.

    They are computed once for a run, and kept in its folder.

    Args:
        folder: of the run.
        config: names the teachers.
        paths: of the n images.
        dimension: of the smaller network's feature.
        say: is called with how far the teachers are.
        device: of the teachers, auto or cpu.

    Raises:
        ReidError: a teacher cannot be read, or an image; or the file in `folder` is damaged.

    """
    file = folder / TARGETS_FILE
    if not file.exists():
        features = [
            _embedded(Embedder.load(teacher, device), teacher.stem, paths, say) for teacher in config.teachers
        ]
        with atomic_file(file) as temporary, temporary.open("wb") as out:
            np.save(out, reduced(np.concatenate(features, axis=1), dimension))
    try:
        targets = np.load(file)
    except (OSError, ValueError, EOFError) as error:
        raise ReidError(f"{file}: damaged ({error}); remove it, and run again") from None
    if targets.shape != (len(paths), dimension):
        raise ReidError(f"{file}: has {targets.shape}, not {(len(paths), dimension)}; remove it, and run again")
    return torch.from_numpy(targets)


def _embedded(
    teacher: Embedder, name: str, paths: Sequence[Path | Picture], say: Callable[[str], None]
) -> NDArray[np.float32]:
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        say(f"{name}: {done:,} of {len(paths):,} images")

    return unit(teacher.embed_files(paths, flip=True, advance=advance))


def reduced(features: NDArray[np.float32], dimension: int) -> NDArray[np.float32]:
    """The features (n, D) in `dimension` numbers that keep their inner products best, then of length 1.

    The right singular vectors do that (Eckart & Young 1936); features that are shorter are filled up with zeros.
    """
    _, axes = np.linalg.eigh(features.T.astype(np.float64) @ features)
    kept = features @ axes[:, ::-1][:, :dimension].astype(np.float32)
    return unit(np.pad(kept, ((0, 0), (0, dimension - kept.shape[1]))))


def unit(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """The features (n, D), each of length 1."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / np.maximum(lengths, np.finfo(np.float32).tiny), np.float32)
