"""Reading of MATLAB files, which may be damaged."""

import faulthandler
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_all_start_methods, get_context
from pathlib import Path
from typing import Any

from reid.files import open_regular


def read_mat(path: Path, *, simplify_cells: bool = False) -> dict[str, Any]:
    """The content of `path`, read by SciPy's `loadmat`.

    It runs in a process of its own: a damaged file can crash SciPy's reader, which then dies without a report.

    Raises:
        Exception: nearly anything, where the file is damaged.

    """
    from scipy.io import loadmat

    open_regular(path).close()
    start = "fork" if "fork" in get_all_start_methods() else None  # Windows has no fork
    with ProcessPoolExecutor(1, get_context(start), initializer=faulthandler.disable) as process:
        return dict(process.submit(loadmat, path, simplify_cells=simplify_cells).result())
