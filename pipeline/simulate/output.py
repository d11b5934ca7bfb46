"""Output folders and files of the simulator."""

import os
from pathlib import Path

from pipeline.errors import PipelineError


def make_folder(folder: Path, argument: str) -> None:
    """Make `folder` unless it is there.

    Raises:
        PipelineError: it cannot be made or written to; the message names `argument`.

    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PipelineError(f"simulate: {argument}: cannot make the folder {folder}: {error.strerror}") from None
    if not os.access(folder, os.W_OK):
        raise PipelineError(f"simulate: {argument}: the folder {folder} is not writable")
