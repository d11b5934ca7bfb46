"""Folders that a command made before it failed: those without a result are removed again."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from pipeline.workspace.folders import discard_notes

_made: list[str] = []  # the folders that this process made, in the order of time


@contextmanager
def none_left() -> Iterator[None]:
    """Remove the folders that the block made and that have no result, if an error leaves it.

    Whatever made them, at whatever depth: the interpreter itself tells which folders this process makes.
    """
    _watch()
    before = len(_made)
    try:
        yield
    except BaseException:
        for path in sorted(map(Path, set(_made[before:])), key=lambda each: len(each.parts), reverse=True):
            discard_notes(path)
            with suppress(OSError):  # it has a result, or is gone
                path.rmdir()
        raise
    finally:
        del _made[before:]


@cache
def _watch() -> None:
    """Have every folder recorded that is made from now on; an audit hook cannot be taken back."""
    sys.addaudithook(_record)


def _record(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "os.mkdir":
        path = os.fspath(arguments[0])
        if isinstance(path, str) and not os.path.lexists(path):
            _made.append(os.path.abspath(path))  # noqa: PTH100 - at once: the working directory may change
