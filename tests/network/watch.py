"""pytest's hooks that refuse and count connections to other machines, from the tests and from what they start."""

import os
import tempfile
from pathlib import Path

import pytest

from tests.network.guard.sitecustomize import NOTES, install

GUARD = Path(__file__).parent / "guard"
ROOT = Path(__file__).parents[2]
_notes = pytest.StashKey[Path]()


def guarded(notes: Path) -> dict[str, str]:
    """An environment in which Python processes refuse other machines, and write each attempt to `notes`."""
    others = [each for each in os.environ.get("PYTHONPATH", "").split(os.pathsep) if each]
    paths = dict.fromkeys([str(GUARD), str(ROOT), *others])
    return os.environ | {NOTES: str(notes), "PYTHONPATH": os.pathsep.join(paths)}


def summary(attempts: list[str]) -> str:
    """One line, and one for each attempt."""
    if not attempts:
        return "0 connections left this machine"
    return "\n  ".join([f"{len(attempts)} attempts to reach another machine:", *attempts])


def pytest_configure(config):
    file, name = tempfile.mkstemp(prefix="connections-")
    os.close(file)
    config.stash[_notes] = Path(name)
    os.environ.update(guarded(Path(name)))
    install()


def pytest_sessionfinish(session):
    if _attempts(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter, config):
    attempts = _attempts(config)
    terminalreporter.line(summary(attempts), red=bool(attempts))


def pytest_unconfigure(config):
    config.stash[_notes].unlink(missing_ok=True)


def _attempts(config) -> list[str]:
    return config.stash[_notes].read_text("utf-8", "replace").splitlines()
