"""The one exception that means "the user can mend this"; notes by which an error says where it was raised."""

from collections.abc import Iterator
from contextlib import contextmanager


class PipelineError(Exception):
    """A mistake in the input of a stage; the message names the file, field or frame and what to do."""


@contextmanager
def during(work: str) -> Iterator[None]:
    """Add `work` to the notes of an error that leaves the block."""
    try:
        yield
    except Exception as error:
        error.add_note(work)
        raise
