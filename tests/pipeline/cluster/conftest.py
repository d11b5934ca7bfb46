"""Two clips, and what an ordinary run over them leaves."""

import json
from pathlib import Path

import pytest

from pipeline.config.models import FlightConfig, FramesConfig
from pipeline.engine.progress import progress_bar
from pipeline.run.flights import run_flights
from tests.pipeline.cluster import emulated
from tests.pipeline.video.samples import write_video

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def clips(tmp_path_factory):
    """A folder with clips of 12 and 9 segments."""
    folder = tmp_path_factory.mktemp("clips")
    for number, frames in enumerate((48, 36)):
        options = {"preset": "ultrafast", "x264-params": "keyint=4:min-keyint=4:scenecut=0"}
        write_video(folder / f"flight{number}.mp4", frames, (320, 180), options=options, rate=8)
    return folder


@pytest.fixture(scope="session")
def plain(clips, tmp_path_factory):
    """The files of an ordinary run."""
    workspace = tmp_path_factory.mktemp("plain")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.run.flight.load_predictor", emulated.load)
        assert run_flights(config_of(clips, workspace), progress_bar, lambda result: None) == {}
    found = contents(workspace)
    assert sum(name.endswith(".jpg") for name in found) > 20
    return found


def config_of(clips, workspace, **sections):
    """The configuration of all runs over the clips."""
    return FlightConfig(
        workspace=workspace,
        videos=sorted(clips.glob("*.mp4")),
        frames=FramesConfig(segment_frames=4),
        detector={"weights": "embedded", "threshold": 0.4},
        **sections,
    )


def words_of(clips, workspace):
    """The same as words of a command."""
    words = [*map(str, sorted(clips.glob("*.mp4"))), "--workspace", str(workspace)]
    for setting in ("frames.segment_frames=4", "detector.weights=embedded", "detector.threshold=0.4"):
        words += ["--set", setting]
    return words


def contents(workspace):
    """All files but locks, manifests without what tells of the run."""
    there = (path for path in workspace.rglob("*") if path.is_file() and ".lock" not in path.name)
    files = {path: path.read_bytes() for path in there}
    for path in files:
        if path.name == "manifest.json":
            manifest = json.loads(files[path])
            del manifest["seconds"], manifest["check"]
            files[path] = json.dumps(manifest).encode()
    return {path.relative_to(workspace).as_posix(): content for path, content in files.items()}
