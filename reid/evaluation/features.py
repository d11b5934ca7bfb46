"""Feature matrices on disk."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reid.errors import ReidError
from reid.files import open_regular


def read_features(path: Path) -> NDArray[np.float32]:
    """The features float32 (n, d) in the .npy file `path`, memory-mapped if the file has float32.

    Raises:
        ReidError: missing, or not a matrix of floating-point numbers.

    """
    try:
        open_regular(path).close()
        features = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise ReidError(f"{path}: no such file") from None
    except Exception as error:  # NumPy parses its header as an expression, which raises any class
        raise ReidError(f"{path}: not a .npy file of features: {error}") from None
    if not isinstance(features, np.ndarray) or features.ndim != 2 or features.dtype.kind != "f":
        raise ReidError(f"{path}: expected one matrix of floating-point numbers, a row for each crop")
    return np.asarray(features, np.float32)
