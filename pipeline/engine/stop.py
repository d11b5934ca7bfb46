"""Stopping at the end of a segment: what Ctrl-C asks for first, so that no work is lost."""

from collections.abc import Iterator
from contextlib import contextmanager

_asked: list[bool] = []  # of the fillings of this process, whether they are to stop; the innermost is the last


@contextmanager
def stoppable() -> Iterator[None]:
    """In this block `ask` is heard, and `check` obeys it."""
    _asked.append(False)
    try:
        yield
    finally:
        _asked.pop()


def ask() -> bool:
    """Ask the filling of segments to stop; whether there is one, which was not asked before."""
    if not _asked or _asked[-1]:
        return False
    _asked[-1] = True
    return True


def check() -> None:
    """Stop, if that was asked for: between two segments.

    Raises:
        KeyboardInterrupt: it was.

    """
    if _asked and _asked[-1]:
        raise KeyboardInterrupt
