"""pytest's hooks that refuse and count connections to other machines, from the tests and from what they start."""

import os
import tempfile
from pathlib import Path

import pytest

from tests.network import kernel
from tests.network.count import guarded, summary
from tests.network.guard.sitecustomize import NOTES, install

_notes = pytest.StashKey[Path]()


def pytest_configure(config):
    name = os.environ[NOTES] if _is_worker(config) else _new_file()
    config.stash[_notes] = Path(name)
    os.environ.update(guarded(Path(name)) | {"UAVPIPE_OFFLINE": "1"})  # tests do not ask for weights either
    install()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """Where the kernel can count for this process, it names the test of a program that is not Python's."""
    before = kernel.attempts() if kernel.is_cut_off() else 0
    result = yield
    if kernel.is_cut_off() and kernel.attempts() > before:
        with item.config.stash[_notes].open("a") as notes:
            notes.write(f"of a program that is not Python's | {item.nodeid}\n")
    return result


def pytest_sessionfinish(session):
    if _attempts(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter, config):
    attempts = _attempts(config)
    terminalreporter.line(summary(attempts), red=bool(attempts))


def pytest_unconfigure(config):
    if not _is_worker(config):
        config.stash[_notes].unlink(missing_ok=True)


def _is_worker(config) -> bool:
    """Whether another pytest process hands out the tests (pytest-xdist): all of them write to its notes."""
    return hasattr(config, "workerinput")


def _new_file() -> str:
    file, name = tempfile.mkstemp(prefix="connections-")
    os.close(file)
    return name


def _attempts(config) -> list[str]:
    return config.stash[_notes].read_text("utf-8", "replace").splitlines()
