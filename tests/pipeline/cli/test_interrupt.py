"""Ctrl-C at any moment of a command ends it without a traceback, and with the exit status that says so."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner

from pipeline.cli import main

ROOT = Path(__file__).parents[3]
INTERRUPT = "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n"


def uavpipe(folder, name, text, *arguments):
    """A process in which `text` is the module `name`."""
    (folder / f"{name}.py").write_text(text)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}
    command = [sys.executable, "-m", "pipeline", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def test_while_modules_are_imported(tmp_path):
    ended = uavpipe(tmp_path, "click", INTERRUPT, "--help")
    assert (ended.returncode, ended.stdout, ended.stderr) == (-signal.SIGINT, "", "")


def test_when_all_is_done(tmp_path):
    at_exit = "import atexit, os, signal\natexit.register(os.kill, os.getpid(), signal.SIGINT)\n"
    ended = uavpipe(tmp_path, "sitecustomize", at_exit, "--version")
    assert (ended.returncode, ended.stderr) == (-signal.SIGINT, "")
    assert "version" in ended.stdout


def test_while_a_command_works(tmp_path):
    # The first module that a command needs and that is not imported before.
    ended = uavpipe(tmp_path, "yaml", INTERRUPT, "config")
    assert ended.returncode == 130
    assert ended.stderr == "uavpipe: stopped; finished work is kept, run again to resume\n"


def test_where_a_library_makes_another_error_of_it(tmp_path):
    text = f"try:\n    {INTERRUPT.strip().replace(chr(10), chr(10) + '    ')}\nexcept KeyboardInterrupt:\n    a.b\n"
    ended = uavpipe(tmp_path, "yaml", text, "config")
    assert ended.returncode == 130
    assert ended.stderr == "uavpipe: stopped; finished work is kept, run again to resume\n"


def test_where_it_is_ignored_it_stays_so(tmp_path):
    (tmp_path / "click.py").write_text(f"{INTERRUPT}raise SystemExit(7)\n")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    command = f"trap '' INT; exec {sys.executable} -m pipeline"
    assert subprocess.run(["sh", "-c", command], env=environment).returncode == 7


def test_the_handler_of_others_is_left_alone(monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr("pipeline.run.flight.run_segment_stages", stop)
    shown = CliRunner().invoke(main, ["frames", "a.mp4"])
    assert (shown.exit_code, signal.getsignal(signal.SIGINT)) == (130, before)
