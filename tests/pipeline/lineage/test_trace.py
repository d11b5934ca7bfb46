import json
import shlex

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from annotate.operations import NewIdentity
from annotate.project import Project
from detector.config import DetectorConfig, Resize
from detector.models.weights import EMBEDDED
from pipeline.chain.table import FRAMES, TRACKS, stage_named
from pipeline.cli import main
from pipeline.config.models import CropsConfig, DatasetConfig, FlightConfig, load_config
from pipeline.dataset.stage import run_dataset
from pipeline.engine.progress import progress_bar
from pipeline.errors import PipelineError
from pipeline.files import file_sha256
from pipeline.lineage import as_text, trace
from pipeline.lineage.commands import stage_of
from pipeline.run.flight import describe, run_stages
from pipeline.simulate import simulate_flight
from pipeline.workspace.folders import open_flight
from pipeline.workspace.tables import read_table

SMALL = DetectorConfig(weights="embedded", resize=Resize(width=320, height=320), floor=0.02, threshold=0.2)


@pytest.fixture(scope="module")
def flown(tmp_path_factory):
    """A flight up to an evaluation, as the commands leave it."""
    folder = tmp_path_factory.mktemp("flown")
    files = simulate_flight(
        folder / "flight01.mp4", people=7, seconds=3, seed=3, size=(480, 270), fps=8, altitude=12
    )
    workspace = folder / "runs"
    config = FlightConfig(workspace=workspace, detector=SMALL, crops=CropsConfig(padding=0.1))
    run_stages(config, files.video, TRACKS, progress_bar)
    project = Project(workspace)
    for number, name in enumerate(sorted(project.store.state.tracklets), 1):
        project.store.apply(NewIdentity(tracklets=(name,), name=f"P{number}"), user="ann", id=f"a{number}")
    project.close()
    run_dataset(workspace, DatasetConfig(min_crops=1, train_share=0.5))
    rows = pd.read_parquet(workspace / "dataset" / "dataset.parquet")
    out = folder / "eval"
    out.mkdir()
    weights = folder / "net.onnx"
    weights.write_bytes(b"a network")
    content = {
        "rank_1": 0.5,
        "counts": {"queries": 1},
        "settings": {"protocol": "tracklet"},
        "inputs": {
            "weights": {"path": str(weights), "sha256": file_sha256(weights)},
            "data": f"{workspace}/dataset",
        },
    }
    (out / "metrics.json").write_text(json.dumps(content))
    row = rows.iloc[-1]
    path = f"{workspace}/dataset/bounding_box_train/{row['name']}"
    pd.DataFrame({"query": [0], "identity": [row["identity"]], "first_hit": [1], "path": [path]}).to_parquet(
        out / "queries.parquet"
    )
    return files, workspace, out, row


def test_a_query_leads_back_to_the_time_stamp(flown):
    files, workspace, out, row = flown
    found = trace(str(out), workspace, query=0)
    assert found["figures"] == {"rank_1": 0.5}
    assert found["weights"]["state"] == "unchanged"
    assert found["query"]["detection"]["time_s"] == row["pts_s"] == row["frame"] / 8
    assert found["query"]["data_set_crop"]["name"] == row["name"]
    assert found["query"]["who"]["decided_by"] == "ann"
    lineage = found["data_set"]["flights"]["flight01"]
    assert lineage["video_sha256"] == file_sha256(files.video)
    assert lineage["detector_weights_sha256"] == file_sha256(EMBEDDED)
    assert lineage["detector_weights_file"] == "embedded"
    (out.parent / "net.onnx").write_bytes(b"another")
    assert trace(str(out), workspace)["weights"]["state"] == "changed since"


@pytest.mark.parametrize("folder", ["frames", "detections", "crops"])
def test_the_command_makes_the_very_same_stage(flown, folder):
    """Read as the command line is read, it gives the fingerprint that the stage has."""
    files, workspace, _, row = flown
    lineage = trace(row["name"], workspace)["flight"]["stages"][folder]
    words = shlex.split(lineage["command"])
    assert words[:3] == ["uavpipe", "detect" if folder == "detections" else folder, str(files.video)]
    settings = [words[at + 1] for at, word in enumerate(words) if word == "--set"]
    config = load_config(None, settings, videos=[files.video], workspace=workspace)
    with open_flight(config.workspace, files.video) as flight:
        again = describe(config, flight, stage_named(words[1]))[-1]
        assert again.folder.path.name == folder
        assert again.fingerprint == lineage["fingerprint"]


def test_the_command_leaves_telemetry_off_where_it_was(flown, tmp_path):
    files, *_ = flown
    config = load_config(None, ["telemetry=off"], videos=[files.video], workspace=tmp_path / "runs")
    run_stages(config, files.video, FRAMES, progress_bar)
    words = shlex.split(stage_of(tmp_path / "runs" / "flight01", FRAMES)["command"])
    assert words[-2:] == ["--set", "telemetry=off"]


def test_a_crop_by_its_file_and_by_its_name(flown):
    _, workspace, _, row = flown
    by_name = trace(row["name"], workspace)
    by_file = trace(str(workspace / row["crop"]), workspace)
    assert by_name["detection"] == by_file["detection"]
    assert by_file["detection"]["crop_is_there"]
    np.testing.assert_allclose(by_file["detection"]["box"], row[["x1", "y1", "x2", "y2"]].astype(float), atol=0.051)
    assert by_file["where"]["altitude_m"] == pytest.approx(12, rel=0.1)
    assert by_file["who"]["identity"] == row["identity"]


def test_an_identity(flown):
    _, workspace, _, row = flown
    found = trace(str(row["identity"]), workspace)
    assert [each["tracklet"] for each in found["tracklets"]] == [row["tracklet"]]
    rows = pd.read_parquet(workspace / "dataset" / "dataset.parquet")
    assert sum(found["data_set_crops"].values()) == (rows["identity"] == row["identity"]).sum()


def test_forward_from_a_frame(flown):
    _, workspace, out, row = flown
    found = trace("flight01", workspace, frame=int(row["frame"]), results=[out.parent])
    detections = read_table(workspace / "flight01" / "detections" / "detections.parquet")
    assert len(found["detections"]) == (detections["frame"] == row["frame"]).sum()
    mine = next(each for each in found["detections"] if each["rank"] == row["rank"])
    assert mine["label"]["identity"] == row["identity"]
    assert mine["data_set"] == [f"{row['split']}/{row['name']}"]
    assert mine["queries"] == [f"{out}: query 0"]


def test_text_and_json_on_the_command_line(flown):
    files, workspace, _, row = flown
    run = CliRunner()
    text = run.invoke(main, ["trace", row["name"], "--workspace", str(workspace)])
    assert text.exit_code == 0, text.output
    assert f"video: {files.video}" in text.output
    assert "  crops: uavpipe crops " in text.output
    content = run.invoke(main, ["trace", row["name"], "--workspace", str(workspace), "--json"])
    assert json.loads(content.output)["detection"]["flight"] == "flight01"
    assert as_text({"name": "a\x1b[2J"}) == r"name: 'a\x1b[2J'"  # a name does not drive the terminal


@pytest.mark.parametrize(
    ("subject", "options", "message"),
    [
        ("nothing.jpg", {}, "nothing of that name"),
        ("99", {}, "no identity 99"),
        ("flight01", {"frame": 999}, "no frame 999; it has 0 to 23"),
        ("flight02", {"frame": 1}, "no table of frames"),
        ("../..", {"frame": 1}, "expected the name of a folder"),
        ("metrics.json", {}, "not the metrics.json"),
    ],
)
def test_what_is_not_there(flown, subject, options, message):
    with pytest.raises(PipelineError, match=message):
        trace(subject, flown[1], **options)
