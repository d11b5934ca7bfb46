"""Embedding of many images in parts: an interrupted run resumes, and ends with the same bytes."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid.embedder import Embedder
from reid.errors import ReidError
from reid.evaluation.features import read_features
from reid.files import atomic_file, read_regular, write_json

PART = 2048  # images; a multiple of all batches, so that parts change no batch
_KEY = "parts.json"


def parts_folder(out: Path) -> Path:
    """The folder of the parts of the features that become `out`; it is gone when they are finished."""
    return out.with_suffix(".parts")


def embed_in_parts(
    embedder: Embedder,
    paths: Sequence[Path],
    out: Path,
    key: Mapping[str, Any],
    *,
    flip: bool = False,
    advance: Callable[[int], None] = lambda count: None,
) -> tuple[int, int]:
    """Write the features of `paths` to `out`, a `.npy` of float32 (n, dimension).

    Args:
        embedder: of the images.
        paths: of the images.
        out: the file.
        key: what the features follow from, besides the images; parts of another one are not used.
        flip: as for `Embedder.embed_files`.
        advance: called with the number of images done, those of finished parts too.

    Returns:
        Number of features, and their length.

    Raises:
        ReidError: an image cannot be read, or the parts' folder is not one of ours.

    """
    folder = parts_folder(out)
    images = [[str(path), (stat := path.stat()).st_size, stat.st_mtime_ns] for path in paths]
    _begin(folder, {"format": "uavpipe.reid.parts.1", **key, "flip": flip, "part": PART, "images": images})
    files = []
    for first in range(0, len(paths), PART):
        file = folder / f"part-{first // PART:06d}.npy"
        here = paths[first : first + PART]
        if _is_whole(file, (len(here), embedder.dimension)):
            advance(len(here))
        else:
            _save(file, embedder.embed_files(here, flip=flip, advance=advance))
        files.append(file)
    shape = len(paths), embedder.dimension
    with atomic_file(out) as temporary:
        features = np.lib.format.open_memmap(temporary, "w+", np.float32, shape)
        for number, file in enumerate(files):
            features[number * PART : (number + 1) * PART] = np.load(file, allow_pickle=False)
        features.flush()
        del features
    shutil.rmtree(folder)
    return shape


def _begin(folder: Path, key: Mapping[str, Any]) -> None:
    """Keep the parts in `folder` if they are of `key`; else begin again."""
    try:
        found = json.loads(read_regular(folder / _KEY))
    except FileNotFoundError:
        found = None
    except (OSError, ValueError):
        found = {}
    if found == json.loads(json.dumps(key)):
        return
    strange = [path.name for path in folder.iterdir() if not _is_ours(path)] if folder.exists() else []
    if strange:
        raise ReidError(f"{folder}: has files that are no parts of features, as {strange[0]}; move the folder")
    if folder.exists():
        shutil.rmtree(folder)
    write_json(folder / _KEY, key)


def _is_ours(path: Path) -> bool:
    return path.name == _KEY or path.name.startswith(("part-", ".part-"))


def _is_whole(file: Path, shape: tuple[int, int]) -> bool:
    try:
        return read_features(file).shape == shape
    except ReidError:
        return False


def _save(file: Path, features: NDArray[np.float32]) -> None:
    with atomic_file(file) as temporary, temporary.open("wb") as opened:
        np.save(opened, features)
