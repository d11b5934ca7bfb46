"""A workspace that version 0.1.0 made before its packages were moved and its settings renamed: it still opens.

`old_workspace.tar.xz` holds two simulated flights of two seconds over four people, labelled from the ground truth,
with a data set and an evaluation; its configuration has the former names of settings.
"""

import tarfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.chain.table import CROPS
from pipeline.cli import main
from pipeline.config.models import load_config
from pipeline.run.flight import describe
from pipeline.workspace.folders import open_flight

ARCHIVE = Path(__file__).parent / "old_workspace.tar.xz"
# The detector that comes with uavpipe may be another one by now: what it found then is taken as it is.
FROM_CROPS = ("--config", "flights.yaml", "--from", "crops")


@pytest.fixture
def old(tmp_path, monkeypatch):
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def invoke(*arguments):
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    return result.output


def test_every_stage_of_its_flights_is_up_to_date(old):
    planned = [line.split(maxsplit=2) for line in invoke("run", *FROM_CROPS, "--dry-run").splitlines()]
    state = {(flight, stage): text for flight, stage, text in planned if flight.startswith("flight")}
    assert len(state) == 2 * 6
    assert set(state.values()) == {"up to date"}
    assert ["all", "flights", "dataset    up to date"] in planned


def test_a_changed_setting_is_named_as_it_is_now(old):
    shown = invoke("run", *FROM_CROPS, "--dry-run", "--set", "tracks.max_gap_s=3")
    assert "tracks     would run: max_gap_s 2.0 is now 3.0" in shown


def test_it_is_labelled_evaluated_and_reported_on(old):
    shown = invoke("run", *FROM_CROPS)
    assert "label      all 8 tracklets have a label" in shown
    assert "dataset    up to date: 48 crops of 2 flights" in shown
    assert "evaluate   mAP" in shown
    page = (old / "runs" / "report" / "index.html").read_text("utf-8")
    assert 'id="flight-flight1"' in page
    assert 'id="identity-1"' in page


def test_its_provenance_is_told_in_commands_of_today(old):
    crop = next((old / "runs" / "dataset" / "query").iterdir()).name
    shown = invoke("trace", crop, "--workspace", "runs")
    assert "crops.stride=2" in shown
    assert "tracks.new_track_score=0.4" in shown


def test_its_stages_keep_their_fingerprints(old):
    config = load_config(Path("flights.yaml"))
    for video in config.flights:
        with open_flight(config.workspace, video) as flight:
            stages = describe(config, flight, first=CROPS)
        assert [stage.why_stale() for stage in stages] == [""] * 6
