"""Runs docs/first-flight.ipynb in a temporary folder, and keeps what its cells print and show.

python -m docs.notebook
"""

import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).with_name("first-flight.ipynb")
ROOT = Path(__file__).parents[1]
# Those of the machine would change with each run.
_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
_PATIENCE = 200  # seconds, for the kernel to start and for each cell


def executed(folder: Path) -> nbformat.NotebookNode:
    """The notebook with the outputs of a run in `folder`.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed.

    """
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.update(outputs=[], execution_count=None)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # the cells call `uavpipe`
    client = NotebookClient(
        notebook,
        timeout=_PATIENCE,
        startup_timeout=_PATIENCE,
        record_timing=False,
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute(env=os.environ | {"PATH": path, "PYTHONPATH": str(ROOT)})
    notebook.metadata = nbformat.from_dict(_METADATA)
    return notebook


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        nbformat.write(executed(Path(folder)), NOTEBOOK)
