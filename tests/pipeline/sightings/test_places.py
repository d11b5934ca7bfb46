"""Places with names: from the configuration, kept in the workspace, and on the sightings that pass them."""

import csv
import io

import pandas as pd
import pytest
from click.testing import CliRunner

from pipeline.chain.table import FRAMES
from pipeline.cli import main
from pipeline.config.models import load_config
from pipeline.engine.progress import progress_bar
from pipeline.errors import PipelineError
from pipeline.run.flight import run_stages
from pipeline.sightings import read_sightings
from pipeline.sightings.places import PLACES, place_named, places_on, read_places, remember_places
from pipeline.telemetry.position import METRES_A_DEGREE
from pipeline.workspace.atomic import write_json
from tests.pipeline.video.samples import write_video

METRE = 1 / METRES_A_DEGREE  # degrees, at the equator


@pytest.fixture
def config(tmp_path):
    """A configuration: a fountain at the feet of f1's first person, a gate 40 m to the north."""
    path = tmp_path / "flight.yaml"
    path.write_text(f"""
video: {tmp_path / "a.mp4"}
workspace: {tmp_path / "runs"}
places:
  - {{name: fountain, latitude: {10 * METRE}, longitude: {20 - 12 * METRE}, radius_m: 2}}
  - {{name: north gate, latitude: {50 * METRE}, longitude: 20}}
""")
    return path


@pytest.fixture
def workspace(make_workspace, walk, config):
    """A walk of two persons below a drone that looks north, 45 degrees down, from 10 m."""
    workspace = make_workspace({"f1": [walk(1, 0, 10)], "f2": [walk(2, 0, 5)]})
    frames = pd.DataFrame({"frame": range(20)}).assign(pts_s=lambda rows: rows["frame"] / 10, altitude_m=10.0)
    frames = frames.assign(latitude=0.0, longitude=20.0, heading_deg=0.0, pitch_deg=-45.0, width=201, height=121)
    (workspace / "f1/frames").mkdir()
    frames.to_parquet(workspace / "f1/frames/frames.parquet")
    write_json(workspace / "f1/camera.json", {"fov_deg": 90.0})
    remember_places(workspace, load_config(config).places)
    return workspace


def shown(workspace, *options):
    ran = CliRunner().invoke(main, ["sightings", "--workspace", str(workspace), *options])
    assert ran.exit_code == 0, ran.output
    return ran.stdout


def test_a_sighting_has_the_names_of_the_places_on_its_path(workspace):
    one, other = read_sightings(workspace)
    assert (one.places, other.places) == (("fountain",), ())  # of f2 no position is known
    assert "fountain, 0.0000" in shown(workspace)
    rows = csv.DictReader(io.StringIO(shown(workspace, "--format", "csv")))
    assert [row["places"] for row in rows] == ["fountain", ""]


def test_near_takes_a_name_and_its_radius(workspace):
    assert "f1/0" in shown(workspace, "--near", "fountain")
    assert shown(workspace, "--near", "north gate") == ""  # 40 m away, radius 20 m
    assert "f1/0" in shown(workspace, "--near", "north gate", "--within", "45m")
    ran = CliRunner().invoke(main, ["sightings", "--workspace", str(workspace), "--near", "pond"])
    assert (ran.exit_code, ran.stderr.count("\n")) == (1, 1)
    assert "there is no place 'pond'; known: fountain, north gate" in ran.stderr


def test_places_come_in_the_order_of_the_path(workspace):
    fountain, gate = read_places(workspace)
    there, back = (gate.latitude, gate.longitude), (fountain.latitude, fountain.longitude)
    assert places_on([there, back, there], [fountain, gate]) == ("north gate", "fountain")
    assert places_on([(1.0, 1.0)], [fountain, gate]) == ()


def test_a_run_keeps_the_places_and_an_empty_list_removes_them(config, tmp_path):
    video = write_video(tmp_path / "a.mp4", frames=4)
    runs = tmp_path / "runs"

    def run(*settings):
        run_stages(load_config(config, settings), video, FRAMES, progress_bar)
        return [each.name for each in read_places(runs)]

    assert run() == ["fountain", "north gate"]
    assert run("places=null") == ["fountain", "north gate"]
    assert run("places=[]") == []


def test_what_is_no_place_is_refused(config, tmp_path):
    for setting, message in {
        "places=[{name: 'a,b', latitude: 1, longitude: 1}]": "places.0.name",
        "places=[{name: a, latitude: 91, longitude: 1}]": "places.0.latitude",
        "places=[{name: a, latitude: 1, longitude: 1}, {name: a, latitude: 2, longitude: 1}]": "two places",
    }.items():
        with pytest.raises(Exception, match=message):
            load_config(config, [setting])
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / PLACES).write_text("{}")
    with pytest.raises(PipelineError, match="damaged"):
        place_named(tmp_path / "runs", "a")
