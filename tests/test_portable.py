"""The commands run where modules and calls of POSIX are missing, as on Windows, with an emulation of its locks."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("annotate", "detector", "pipeline", "reid", "uavpipe")
POSIX = {"fcntl", "grp", "pwd", "resource", "termios", "tty", "pty", "posix", "syslog", "curses", "readline"}

# Replaces what Windows lacks, and gives what it has: `LockFileEx` over a table of this process.
WINDOWS = """
import ctypes, os, signal, sys, types
import asyncio, concurrent.futures.process, multiprocessing.util, shutil, subprocess, tempfile  # as they are here

MISSING = ("fcntl", "resource", "pwd", "grp", "termios", "colorama")  # the last asks for the console's calls

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name in MISSING:
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)

sys.meta_path.insert(0, Missing())
for name in MISSING:
    sys.modules.pop(name, None)
for name in "fork O_NOFOLLOW O_NONBLOCK O_DIRECTORY sched_getaffinity sysconf getuid geteuid".split():
    if hasattr(os, name):
        delattr(os, name)
for name in ("SIGKILL", "SIGHUP", "SIGUSR1", "SIGALRM"):
    delattr(signal, name)

held = {}  # file -> {handle: exclusive}

class Kernel:
    def __init__(self, name, use_last_error=False):
        self.code = 0
    def file(self, handle):
        found = os.fstat(handle.value)
        owners = held.setdefault((found.st_dev, found.st_ino), {})
        for other in list(owners):
            try:  # a lock ends with its file
                if (os.fstat(other).st_dev, os.fstat(other).st_ino) != (found.st_dev, found.st_ino):
                    del owners[other]
            except OSError:
                del owners[other]
        return owners
    def UnlockFileEx(self, handle, reserved, low, high, overlapped):
        self.file(handle).pop(handle.value, None)
        return 1
    def LockFileEx(self, handle, flags, reserved, low, high, overlapped):
        owners, exclusive = self.file(handle), bool(flags & 2)
        assert overlapped._obj.offset_high == 0x7FFFFFFF and low == 1
        if any(exclusive or other for other in owners.values()):
            assert flags & 1, "would wait for ever"
            ctypes.last = 33
            return 0
        owners[handle.value] = exclusive
        return 1

ctypes.WinDLL = Kernel
ctypes.get_last_error = lambda: ctypes.last
sys.modules["msvcrt"] = types.SimpleNamespace(get_osfhandle=lambda number: number)
"""

COMMANDS = """
simulate a.mp4 --people 4 --seconds 1 --size 320x180 --fps 8 --altitude 12 --seed 1
init
config --config flight.yaml
frames a.mp4
tracks a.mp4 --set detector.weights=embedded --set detector.resize.width=160 --set detector.resize.height=96
overlay a --set detector.weights=embedded --set detector.resize.width=160 --set detector.resize.height=96
status
verify
sightings
report
doctor --no-timing
"""

RUN = f"""
import shlex
from pipeline.cli import main
for line in '''{COMMANDS}'''.strip().splitlines():
    print(">", line, flush=True)
    main(shlex.split(line), standalone_mode=False)
from annotate.log.store import LabelStore
from pipeline.workspace.folders import locked
from pipeline.errors import PipelineError
from pathlib import Path
with LabelStore(Path("labels.sqlite")):
    pass
with locked(Path("runs/a")):
    try:
        with locked(Path("runs/a")):
            raise SystemExit("two runs in one folder")
    except PipelineError as error:
        print(error)
with locked(Path("runs/a"), shared=True), locked(Path("runs/a"), shared=True):
    print("shared by two")
"""


def windows(folder, code):
    (folder / "sitecustomize.py").write_text(WINDOWS)
    path = os.pathsep.join([str(folder), str(ROOT)])
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": path, "USERNAME": "ann"},
        capture_output=True,
        text=True,
    )


def test_the_commands_run_without_what_windows_lacks(tmp_path):
    ended = windows(tmp_path, RUN)
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-4000:]
    assert "another uavpipe (process" in ended.stdout
    assert ended.stdout.splitlines()[-1] == "shared by two"
    assert (tmp_path / "runs" / "report" / "index.html").exists()
    assert (tmp_path / "runs" / "a" / "tracks" / "tracklets.parquet").exists()


def test_the_emulation_takes_the_modules_away(tmp_path):
    assert "No module named 'fcntl'" in windows(tmp_path, "import fcntl").stderr


def imports_of(body):
    """The modules that are imported while the statements `body` are executed, functions not called."""
    for node in body:
        if isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]
        elif isinstance(node, ast.ClassDef | ast.If | ast.With | ast.For) or (
            isinstance(node, ast.Try) and not any("ImportError" in ast.unparse(each) for each in node.handlers)
        ):
            yield from imports_of(node.body)


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_needs_posix_to_be_imported(package):
    paths = sorted((ROOT / package).rglob("*.py"))
    assert paths
    needed = {path.name: POSIX & set(imports_of(ast.parse(path.read_text("utf-8")).body)) for path in paths}
    assert {name: found for name, found in needed.items() if found} == {}
