import csv
import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml
from click.testing import CliRunner

from annotate.log.store import LABELS, LabelStore
from annotate.operations import Assign, Mark, Merge, NewIdentity, Relink, SetMark, Split
from annotate.project import Project
from annotate.records import read_tracklets
from pipeline.cli import main
from pipeline.errors import PipelineError
from pipeline.labelling.from_ground_truth import _shown, label_by_ground_truth
from pipeline.groundtruth.read import read_truth
from pipeline.relinking.carry_over import NOT_CARRIED
from pipeline.relinking.keep import BOXES, serving
from pipeline.simulate import simulate_flight

SETTINGS = {
    "detector": {"weights": "embedded", "resize": {"width": 640, "height": 640}, "floor": 0.05, "threshold": 0.3},
    "frames": {"segment_frames": 8},
    "tracks": {"new_track_score": 0.3, "high_score": 0.3},
}


@pytest.fixture(scope="module")
def flown(tmp_path_factory):
    """A flight up to the tracklets, labelled by its ground truth."""
    folder = tmp_path_factory.mktemp("flown")
    simulate_flight(folder / "f1.mp4", people=6, seconds=5, seed=3, size=(640, 360), fps=8, altitude=12)
    content = {**SETTINGS, "videos": [str(folder / "f1.mp4")]}
    (folder / "run.yaml").write_text(yaml.safe_dump(content))
    run(folder, "tracks")
    label_by_ground_truth(folder / "runs", {"f1": folder / "f1.gt.txt"})
    return folder


@pytest.fixture
def folder(flown, tmp_path):
    shutil.copytree(flown, tmp_path / "flown")
    content = {**SETTINGS, "videos": [str(tmp_path / "flown" / "f1.mp4")]}
    (tmp_path / "flown" / "run.yaml").write_text(yaml.safe_dump(content))
    return tmp_path / "flown"


def call(folder, command, *words):
    given = [] if command == "label" else ["--config", str(folder / "run.yaml")]
    arguments = [*command.split(), *given, "--workspace", str(folder / "runs"), *words]
    return CliRunner().invoke(main, arguments, catch_exceptions=True)


def run(folder, command, *words):
    result = call(folder, command, *words)
    assert result.exit_code == 0, result.output
    return result.output


def test_try(folder):
    with LabelStore(folder/"runs"/LABELS) as s:
        print(s.state.labels, {k: len(v) for k, v in s.state.tracklets.items()})
    print(run(folder, "tracks", "--set", "tracks.min_length=10", "--dry-run"))
    print(run(folder, "tracks", "--set", "tracks.min_length=10"))
    with LabelStore(folder/"runs"/LABELS) as s:
        print(s.state.labels, {k: len(v) for k, v in s.state.tracklets.items()})
    print((folder/"runs"/NOT_CARRIED).read_text())
    print(run(folder, "tracks", "--set", "detector.floor=0.2","--set", "tracks.split_below=0.9"))
    with LabelStore(folder/"runs"/LABELS) as s:
        print(s.state.labels, {k: len(v) for k, v in s.state.tracklets.items()})
        for e in s.entries[-5:]: print(e.user, e.operation.op, str(e.operation)[:100])
    print((folder/"runs"/NOT_CARRIED).read_text())
    print(call(folder, "dataset").output)
