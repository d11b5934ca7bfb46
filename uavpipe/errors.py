"""The one error for mistakes that a user can correct."""

from collections.abc import Iterator
from contextlib import contextmanager


class UavpipeError(Exception):
    """A mistake that the user can correct: one line that names the file, field or frame and what to do.

    It is the line that the command would print. The error that it was made of is its `__cause__`.
    """


@contextmanager
def one_error() -> Iterator[None]:
    """Turn what the user can correct, and a lack of disk or memory, into a `UavpipeError`; a bug stays as it is."""
    try:
        yield
    except UavpipeError:
        raise
    except Exception as error:
        from pipeline.cli.errors import explained

        line = explained(error)
        if line is None:
            raise
        raise UavpipeError(line) from error
