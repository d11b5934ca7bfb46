"""Errors that a user can correct, as one line and an exit status; a bug keeps its traceback."""

import errno
import logging
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import click

from annotate.errors import AnnotateError
from detector.errors import DetectorError
from pipeline.cli.memory import explanation, ran_out
from pipeline.errors import PipelineError
from reid.errors import ReidError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FAILING = (errno.EIO, errno.ENXIO, errno.ENODEV, errno.ESTALE)  # a disk that breaks or is pulled out
# Another program deleted or replaced a file, or holds it.
_CHANGED = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENOTEMPTY, errno.EEXIST, errno.EBUSY, errno.ELOOP)
_CANNOT_WRITE = (errno.EROFS, errno.EACCES, errno.EPERM)


class UserError(click.ClickException):
    """Shown as `uavpipe: message`, exit status 1."""

    def show(self, file: object = None) -> None:
        """Print the message on one line."""
        click.echo(f"uavpipe: {' '.join(self.message.split())}", err=True)


class StoppedError(UserError):
    """The same by Ctrl-C, with the exit status that a shell gives to it."""

    exit_code = 128 + signal.SIGINT


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn the errors that a user can correct into one line; print each warning on one line."""
    logging.basicConfig(level=logging.WARNING, format="uavpipe: %(message)s", stream=sys.stderr)
    try:
        with _interruptible(), _memory_errors():
            yield
    except (PipelineError, AnnotateError, DetectorError, ReidError) as error:
        raise UserError(str(error)) from None
    except OSError as error:
        if error.errno in _FULL:
            raise UserError(
                f"no space left on the disk{_at(error)}; finished work is kept: free some space and run again"
            ) from None
        if error.errno in _FAILING:
            raise UserError(
                f"the disk fails{_at(error)}: {error.strerror}; finished work is kept: check the disk and run again"
            ) from None
        if error.errno in _CANNOT_WRITE:
            raise UserError(f"cannot write{_at(error)}: {error.strerror}; choose another --workspace") from None
        if error.errno == errno.ENAMETOOLONG:
            raise UserError(f"{str(error.filename)[:200]}…: {error.strerror}") from None
        if error.errno in _CHANGED:
            what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
            raise UserError(f"{what}; finished work is kept: run again") from None
        raise
    except KeyboardInterrupt:
        raise StoppedError("stopped; finished work is kept, run again to resume") from None


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C raise an error in the block, where it ends the process at once; `pipeline.__main__` does so."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_DFL or not _in_main_thread():
        yield
        return
    stopped: list[int] = []

    def stop(number: int, _: object) -> None:
        stopped.append(number)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, stop)
    try:
        yield
    except Exception:
        if not stopped:
            raise
        raise KeyboardInterrupt from None  # a library made another error of it, such as of a half import
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


@contextmanager
def _memory_errors() -> Iterator[None]:
    """Whatever error a library has for it, and whatever was made of that: memory ran out."""
    try:
        yield
    except Exception as error:
        if not ran_out(error):
            raise
        text = explanation(error)
    else:
        return
    raise UserError(text)  # here: the error, and what its frames hold, are gone


def _at(error: OSError) -> str:
    return f" for {error.filename}" if error.filename else ""
