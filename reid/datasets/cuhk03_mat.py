"""Extraction of images and classic splits from `cuhk-03.mat`, as CUHK03 is published: MATLAB 7.3, which is HDF5.

`labeled` and `detected` are lists of five pairs of cameras, each a table of persons by ten images, five a camera,
some of them empty; `testsets` are twenty lists of a hundred rows, pair and person, from 1. HDF5 reverses all axes.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from reid.errors import ReidError

_KINDS = ("labeled", "detected")
_LARGEST = 100_000_000  # bytes of an array: images have far less, a damaged file may promise more
_VIEW = 5  # images of a person from the first camera


def extract(mat: Path, out: Path) -> int:
    """Write images_labeled, images_detected and the splits of both to the folder `out`, for `reid.datasets.cuhk03`.

    Returns:
        The number of images.

    Raises:
        ReidError: h5py is missing, or the file is not that of CUHK03.

    """
    try:
        import h5py
    except ImportError:
        raise ReidError(f"{mat}: needs h5py; pip install 'uavpipe[cuhk03]'") from None
    if not mat.is_file():
        raise ReidError(f"{mat}: no such file; expected CUHK03's cuhk-03.mat")
    try:
        with h5py.File(mat, "r") as file:
            tests = [{(int(pair), int(person)) for pair, person in test} for test in _cells(file, "testsets")]
            return sum(_extract(file, kind, tests, out) for kind in _KINDS)
    except (OSError, LookupError, ValueError, TypeError, RuntimeError, cv2.error) as error:
        raise ReidError(f"{mat}: not CUHK03's cuhk-03.mat: {' '.join(str(error).split())[:100]}") from None


def _extract(file: Any, kind: str, tests: list[set[tuple[int, int]]], out: Path) -> int:
    folder = out / f"images_{kind}"
    folder.mkdir(parents=True)
    names: dict[tuple[int, int], list[str]] = {}
    for pair, persons in enumerate(_cells(file, kind), start=1):
        for person, references in enumerate(persons, start=1):
            own = names.setdefault((pair, person), [])
            for number, reference in enumerate(references, start=1):
                picture = _array(file, file[reference])
                if picture.ndim == 3:  # an empty cell is stored as its two sizes
                    own.append(f"{pair}_{person:03d}_{1 if number <= _VIEW else 2}_{number:02d}.png")
                    _write(folder / own[-1], picture)
    splits = [_split(names, test) for test in tests]
    (out / f"splits_classic_{kind}.json").write_text(json.dumps(splits), "utf-8")
    return sum(map(len, names.values()))


def _split(names: dict[tuple[int, int], list[str]], test: set[tuple[int, int]]) -> dict[str, list[list[str]]]:
    """The splits as torchreid has them; persons follow from the names."""
    trained = [[name] for key, own in names.items() if key not in test for name in own]
    tested = [[name] for key, own in names.items() if key in test for name in own]
    return {"train": trained, "query": tested, "gallery": tested}


def _cells(file: Any, name: str) -> Iterator[NDArray[Any]]:
    """The contents of a MATLAB cell array."""
    import h5py

    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"'{name}' is missing, or not in the file itself")
    for reference in _array(file, file[name]).ravel():
        yield _array(file, file[reference])


def _array(file: Any, dataset: Any) -> NDArray[Any]:
    """MATLAB's array; refused if its bytes are in another file."""
    if dataset.nbytes > _LARGEST:
        raise ValueError(f"'{dataset.name}' would be {dataset.nbytes:,} bytes")
    if dataset.file != file or dataset.external is not None or dataset.is_virtual:
        raise ValueError(f"'{dataset.name}' is stored in another file")
    return np.asarray(dataset[()]).T


def _write(path: Path, rgb: NDArray[Any]) -> None:
    if rgb.dtype != np.uint8 or rgb.shape[2] != 3:
        raise ValueError(f"{path.name}: {rgb.dtype} {rgb.shape}, expected uint8 and three colours")
    _, data = cv2.imencode(".png", cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2BGR))
    path.write_bytes(data.tobytes())
