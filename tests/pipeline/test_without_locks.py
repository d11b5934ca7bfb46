"""A file system without file locks, or a slow one: a command ends right, or with one line and leaves nothing."""

import errno
import fcntl
import os
import shutil
import subprocess
import sys

import pytest
from click.testing import CliRunner

from annotate.errors import Unusable
from annotate.exchange.admit import Reading
from annotate.log.store import LabelStore
from pipeline.chain.table import CROPS
from pipeline.cli import main
from pipeline.config.models import CropsConfig, FlightConfig, FramesConfig
from pipeline.engine.progress import progress_bar
from pipeline.errors import PipelineError
from pipeline.relinking.keep import serving, without_labelling
from pipeline.run.flight import run_stages
from pipeline.run.import_detections import import_detections
from pipeline.simulate import simulate_flight
from pipeline.workspace.folders import locked

MISSING = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)


@pytest.fixture(params=MISSING, ids=lambda code: errno.errorcode[code])
def without(request, monkeypatch):
    """No file system has locks."""

    def flock(*_):
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(fcntl, "flock", flock)


@pytest.mark.parametrize("lock", [locked, serving, without_labelling])
def test_a_lock_says_which_folder_and_what_to_do(lock, without, tmp_path):
    with pytest.raises((PipelineError, Unusable)) as told, lock(tmp_path):
        pytest.fail("went on unlocked")
    assert str(told.value).startswith(f"{tmp_path}: its file system has no file locks (")
    assert "`-o flock`" in str(told.value)


def test_no_decision_is_answered(without, tmp_path):
    with pytest.raises(Unusable, match="no file locks"):
        LabelStore(tmp_path / "labels.sqlite")


@pytest.mark.parametrize(
    "command",
    [
        ["tracks", "VIDEO", "--workspace", "WORKSPACE"],
        ["run", "VIDEO", "--workspace", "WORKSPACE"],
        ["annotate", "serve", "--workspace", "WORKSPACE", "--no-browser", "--no-suggest", "--port", "0"],
        ["dataset", "--workspace", "WORKSPACE"],
        ["forget", "1", "--workspace", "WORKSPACE", "--yes"],
    ],
    ids=lambda command: command[0],
)
def test_a_command_ends_with_one_line(command, monkeypatch, make_workspace, walk, tmp_path):
    workspace = make_workspace({"flight": [walk(0, 0, 4)]})
    with LabelStore(workspace / "labels.sqlite"):
        pass
    (tmp_path / "flight.mp4").write_bytes(b"none is read")

    def flock(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    places = {"VIDEO": str(tmp_path / "flight.mp4"), "WORKSPACE": str(workspace)}
    found = CliRunner().invoke(main, [places.get(word, word) for word in command])
    assert found.exit_code == 1, found.output
    assert "no file locks" in found.output
    assert found.output.count("\n") == 1 + found.output.startswith("failed: ")  # `run` counts the flights
    assert not list(workspace.rglob(".part-*"))


# --- whole processes, in which Python itself is changed

NO_LOCKS = """
import errno, fcntl
def flock(*_):
    raise OSError(errno.ENOLCK, "No locks available")
fcntl.flock = flock
"""
SLOW = """
import os, time
def slowly(name):
    call = getattr(os, name)
    def delayed(*arguments, **options):
        time.sleep(0.001)
        return call(*arguments, **options)
    setattr(os, name, delayed)
for name in "stat lstat open mkdir rename replace unlink rmdir listdir scandir fsync".split():
    slowly(name)
"""


@pytest.fixture(scope="module")
def flown(tmp_path_factory):
    """A video, boxes in it, and the workspace with its crops in shards, by an undisturbed run."""
    folder = tmp_path_factory.mktemp("flown")
    video, boxes = folder / "flight.mp4", folder / "boxes.csv"
    simulate_flight(video, people=2, seconds=2, seed=3, size=(160, 96), fps=8, altitude=12)
    rows = [f"{frame},{10 + frame},20,{30 + frame},60,0.9" for frame in range(16)]
    boxes.write_text("frame,x1,y1,x2,y2,score\n" + "\n".join(rows))
    frames = FramesConfig(segment_frames=8)
    config = FlightConfig(workspace=folder / "runs", frames=frames, crops=CropsConfig(store="tar"))
    import_detections(config, video, boxes, Reading(), progress_bar)
    run_stages(config, video, CROPS, progress_bar)
    return video, folder / "runs"


def run_changed(change, tmp_path, *words):
    (tmp_path / "changed").mkdir()
    (tmp_path / "changed" / "sitecustomize.py").write_text(change)
    path = os.pathsep.join([str(tmp_path / "changed"), *sys.path])
    command = [sys.executable, "-m", "pipeline", *map(str, words)]
    return subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True)


def files(workspace):
    found = (path for path in workspace.rglob("*") if path.suffix in (".tar", ".parquet") and path.is_file())
    return {path.name: path.read_bytes() for path in found}


def test_a_process_without_locks_ends_with_one_line(flown, tmp_path):
    video, _ = flown
    found = run_changed(NO_LOCKS, tmp_path, "crops", video, "--workspace", tmp_path / "runs")
    assert (found.returncode, found.stdout) == (1, "")
    assert found.stderr.startswith(f"uavpipe: {tmp_path / 'runs' / 'flight'}: its file system has no file locks (")
    assert found.stderr.count("\n") == 1


def test_slow_metadata_changes_nothing(flown, tmp_path):
    video, undisturbed = flown
    workspace = tmp_path / "runs"
    shutil.copytree(undisturbed / "flight" / "detections", workspace / "flight" / "detections")
    shutil.copy(undisturbed / "flight" / "flight.json", workspace / "flight")
    settings = ("--set", "crops.store=tar", "--set", "frames.segment_frames=8")
    found = run_changed(SLOW, tmp_path, "crops", video, "--workspace", workspace, *settings)
    assert found.returncode == 0, found.stderr
    assert len(list(workspace.rglob("*.tar"))) == 2
    assert files(workspace / "flight" / "crops") == files(undisturbed / "flight" / "crops")
