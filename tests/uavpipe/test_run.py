"""`uavpipe.run` against what `uavpipe run` does with the same configuration."""

import shutil

import pandas as pd
import pytest
import yaml
from click.testing import CliRunner

import uavpipe
from pipeline.chain.table import DATASET, REPORT
from pipeline.cli import main
from uavpipe import FlightConfig, UavpipeError

from .conftest import FRAMES, PERSONS


@pytest.fixture(autouse=True)
def _squares(squares):
    """Detects the squares."""


@pytest.fixture
def config(folder):
    """What the flights were run with."""
    return {
        "videos": [str(folder / "f1"), str(folder / "f2")],
        "workspace": str(folder / "runs"),
        "detector": {"weights": "embedded"},
        "frames": {"segment_frames": 8},
        "tracks": {"split_below": None},
    }


def test_the_stages_are_those_of_the_command(flown, config, tmp_path):
    _, done = flown
    assert [(stage.stage, stage.folder.parent.name) for stage in done.stages if stage.stage != "label"] == [
        (stage, flight)
        for flight in ("f1", "f2")
        for stage in ("frames", "detect", "crops", "motion", "appearance", "tracks")
    ]
    assert not any(stage.skipped for stage in done.stages)
    assert next(stage.counts["boxes"] for stage in done.stages if stage.stage == "detect") == FRAMES * PERSONS
    file = tmp_path / "flight.yaml"
    file.write_text(yaml.safe_dump(config))
    result = CliRunner().invoke(main, ["run", "--config", str(file), "--until", "tracks"])
    assert result.exit_code == 0, result.output
    assert result.output.count("up to date") == 12


@pytest.mark.parametrize("form", ["dict", "file", "model"])
def test_a_configuration_in_any_form(config, tmp_path, form):
    if form == "file":
        file = tmp_path / "flight.yaml"
        file.write_text(yaml.safe_dump(config))
        given = file
    else:
        given = config if form == "dict" else FlightConfig.model_validate(config)
    done = uavpipe.run(given, last="detect")
    assert [stage.skipped for stage in done.stages] == [True] * 4
    assert len(done.workspace.detections) == 2 * FRAMES * PERSONS
    assert done.labelling is None


def test_it_stops_where_labels_are_missing(folder, config, tmp_path, monkeypatch):
    shutil.copytree(folder / "runs", tmp_path / "runs")
    (tmp_path / "runs" / "labels.sqlite").unlink()
    (tmp_path / "runs" / "labels.sqlite.log.jsonl").unlink()
    called = []
    monkeypatch.setattr("pipeline.run.chain.run_from_labels", lambda *given: called.append(given[-2:]))
    config = config | {"workspace": str(tmp_path / "runs")}
    done = uavpipe.run(config)
    assert not done.labelling.is_complete
    assert called == [(REPORT, REPORT)]  # only the report is written
    uavpipe.run(config, first="dataset", last="dataset")
    assert called[1:] == [(DATASET, DATASET)]


def test_with_all_labels_it_makes_the_data_set(folder, config, tmp_path):
    shutil.copytree(folder / "runs", tmp_path / "runs")
    dataset = {"train_share": 1.0}  # the two flights have the same pictures
    done = uavpipe.run(config | {"workspace": str(tmp_path / "runs"), "dataset": dataset}, last="dataset")
    assert done.labelling.is_complete
    made = pd.read_parquet(tmp_path / "runs" / "dataset" / "dataset.parquet")
    assert set(made.loc[made["identity"] > 0, "identity"]) == set(done.workspace.identities["identity"]) == {1, 2}


def test_a_flight_that_fails_is_an_error_when_the_others_are_done(folder, config, tmp_path):
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    mixed = config | {
        "videos": [str(tmp_path / "broken.mp4"), str(folder / "f1")],
        "workspace": str(tmp_path / "w"),
    }
    with pytest.raises(UavpipeError, match=r"1 of 2 flights failed: .*broken\.mp4"):
        uavpipe.run(mixed, last="frames")
    assert len(uavpipe.open(tmp_path / "w").frames) == FRAMES


def test_a_users_mistakes_are_one_line(config, tmp_path):
    mistakes = {
        "detector.weigths: unknown key; did you mean 'weights'": ({"detector": {"weigths": "coco"}}, {}),
        "no video: name one": ({}, {"last": "tracks"}),
        "flight.yaml: no such configuration file": (tmp_path / "flight.yaml", {}),
        "stage 'trakcs': expected one of frames, detect": (config, {"last": "trakcs"}),
        "first stage 'tracks' comes after the last, 'crops'": (config, {"first": "tracks", "last": "crops"}),
    }
    for words, (given, options) in mistakes.items():
        with pytest.raises(UavpipeError, match=words) as raised:
            uavpipe.run(given, **options)
        assert "\n" not in str(raised.value)
