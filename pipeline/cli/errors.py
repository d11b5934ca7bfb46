"""Errors that a user can correct, as one line and an exit status; a bug keeps its traceback."""

import errno
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import click

from annotate.errors import AnnotateError
from detector.errors import DetectorError
from pipeline.cli.extras import missing_extra
from pipeline.cli.memory import explanation, ran_out
from pipeline.cli.verbosity import begin_logging
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
    begin_logging()
    try:
        with _interruptible(), _memory_errors():
            yield
    except click.ClickException:
        raise
    except KeyboardInterrupt:
        raise StoppedError("stopped; finished work is kept, run again to resume") from None
    except Exception as error:
        line = explained(error)
        if line is None:
            raise
        raise UserError(line) from None


def explained(error: Exception) -> str | None:
    """One line on an error that a user can correct, or on a lack of disk, memory or packages; None for a bug."""
    if isinstance(error, UserError):
        return " ".join(error.message.split())
    if isinstance(error, (PipelineError, AnnotateError, DetectorError, ReidError)):
        return " ".join(str(error).split())
    if ran_out(error):
        return explanation(error)
    if (line := missing_extra(error)) is not None:
        return line
    return _on_the_disk(error) if isinstance(error, OSError) else None


def _on_the_disk(error: OSError) -> str | None:
    if error.errno in _FULL:
        return f"no space left on the disk{_at(error)}; finished work is kept: free some space and run again"
    if error.errno in _FAILING:
        return f"the disk fails{_at(error)}: {error.strerror}; finished work is kept: check the disk and run again"
    if error.errno in _CANNOT_WRITE:
        return f"cannot write{_at(error)}: {error.strerror}; choose another --workspace"
    if error.errno == errno.ENAMETOOLONG:
        return f"{str(error.filename)[:200]}…: {error.strerror}"
    if error.errno in _CHANGED:
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        return f"{what}; finished work is kept: run again"
    return None


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C raise an error in the block, where it ends the process at once; `pipeline.__main__` does so."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_DFL or not _in_main_thread():
        yield
        return
    from pipeline.engine.progress import announce
    from pipeline.engine.stop import ask

    stopped: list[int] = []

    def stop(number: int, _: object) -> None:
        if ask():
            announce("stopping after this segment …; Ctrl-C again stops at once", always=True)
            return
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
