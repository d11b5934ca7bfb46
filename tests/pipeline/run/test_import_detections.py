import json
import shutil

import numpy as np
import pytest
from click.testing import CliRunner

from annotate.exchange.admit import Reading
from detector.config import DetectorConfig
from detector.records import Detections
from pipeline.chain.table import DETECT, TRACKS
from pipeline.cli import main
from pipeline.config.models import FlightConfig, FramesConfig
from pipeline.engine.progress import progress_bar
from pipeline.errors import PipelineError
from pipeline.files import file_sha256
from pipeline.lineage.back import flight_lineage
from pipeline.run.flight import run_stages
from pipeline.run.import_detections import import_detections
from pipeline.simulate import simulate_flight
from pipeline.workspace.tables import read_table

FRAMES = 16


class Nobody:
    """A detector that finds nothing."""

    batch_size = workers = 1
    runtime = "nothing"

    def preprocess(self, image):
        return image

    def predict(self, batch):
        return [Detections.empty()] * len(batch)


@pytest.fixture(scope="module")
def flight(tmp_path_factory):
    path = tmp_path_factory.mktemp("flight") / "a.mp4"
    simulate_flight(path, people=2, seconds=2, seed=3, size=(160, 96), fps=8, altitude=12)
    return path


@pytest.fixture
def boxes(tmp_path):
    """A person who walks for 16 frames, one box beyond the edge, and one below the floor."""
    path = tmp_path / "a.csv"
    rows = [f"{frame},{10 + frame},20,{30 + frame},60,0.9" for frame in range(FRAMES)]
    rows += ["5,-10,80,20,120,0.95", "6,1,1,9,9,0.01"]
    path.write_text("frame,x1,y1,x2,y2,score\n" + "\n".join(rows))
    return path


def config_of(workspace, **more):
    # No detector is there: none may be loaded, nor asked for.
    detector = DetectorConfig(weights="nowhere.safetensors")
    return FlightConfig(
        workspace=workspace, frames=FramesConfig(segment_frames=8), **({"detector": detector} | more)
    )


def test_the_chain_continues_from_imported_detections(flight, boxes, tmp_path, caplog):
    config = config_of(tmp_path / "runs")
    result, account = import_detections(config, flight, boxes, Reading(), progress_bar)
    assert account == "18 boxes read, 17 used; left out: 1 below detector.floor 0.05"
    assert (result.counts["boxes"], result.skipped) == (17, False)
    folder = tmp_path / "runs" / "a" / DETECT.folder
    rows = read_table(folder / DETECT.file)
    assert rows["frame"].tolist() == [*range(6), *range(5, FRAMES)]
    fifth = rows[rows["frame"] == 5][["rank", "x1", "y1", "x2", "y2", "score"]].to_numpy()
    np.testing.assert_allclose(fifth, [[0, 0, 80, 20, 96, 0.95], [1, 15, 20, 35, 60, 0.9]], rtol=1e-6)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["section"]["imported"]["file"] == "a.csv"
    assert manifest["section"]["imported"]["sha256"] == manifest["inputs"]["weights"] == file_sha256(boxes)
    assert import_detections(config, flight, boxes, Reading(), progress_bar)[0].skipped

    before = (folder / "manifest.json").read_bytes()
    results = run_stages(config, flight, TRACKS, progress_bar)
    assert [each.stage for each in results if each.skipped] == ["frames", "detect"]
    assert results[-1].counts["tracklets"] == 1
    assert "imported from a.csv, no detector is run" in caplog.text
    assert (folder / "manifest.json").read_bytes() == before

    lineage = flight_lineage(tmp_path / "runs" / "a")
    assert lineage["detections_imported_from"]["file"] == "a.csv"
    assert "detector_weights_sha256" not in lineage
    assert lineage["stages"][DETECT.folder]["command"].startswith("uavpipe detections import a.csv ")
    verified = CliRunner().invoke(main, ["verify", "--workspace", str(tmp_path / "runs")])
    assert verified.exit_code == 0, verified.output


def test_the_command_of_an_import_repeats_what_decided_its_boxes(flight, boxes, tmp_path):
    config = config_of(tmp_path / "runs", detector=DetectorConfig(floor=0.3, max_detections=7))
    import_detections(config, flight, boxes, Reading(task="a"), progress_bar)
    command = flight_lineage(tmp_path / "runs" / "a")["stages"][DETECT.folder]["command"]
    assert "import a.csv --task a " in command
    assert "--set detector.floor=0.3 --set detector.max_detections=7" in command


def test_imported_detections_are_not_replaced_in_silence(flight, boxes, tmp_path):
    config = config_of(tmp_path / "runs")
    import_detections(config, flight, boxes, Reading(), progress_bar)
    other = config.model_copy(update={"frames": FramesConfig(segment_frames=16)})
    with pytest.raises(PipelineError, match=r"imported from a\.csv: other segment frames; import them again"):
        run_stages(other, flight, DETECT, progress_bar)
    part = tmp_path / "runs" / "a" / DETECT.output / "part-00000000.parquet"
    part.unlink()
    with pytest.raises(PipelineError, match=r"imported from a\.csv: a file is damaged or gone"):
        run_stages(config, flight, DETECT, progress_bar)
    import_detections(config, flight, boxes, Reading(), progress_bar)
    assert part.is_file()

    shutil.rmtree(tmp_path / "runs" / "a" / DETECT.folder)
    detects = config.model_copy(update={"detector": DetectorConfig(weights="embedded")})
    run_stages(detects, flight, DETECT, progress_bar, lambda *_: Nobody())
    with pytest.raises(PipelineError, match="has the detections of a detector; --replace"):
        import_detections(config, flight, boxes, Reading(), progress_bar)
    result, _ = import_detections(config, flight, boxes, Reading(), progress_bar, replace_own=True)
    assert result.counts["boxes"] == 17


def test_a_flight_of_which_a_person_was_erased_takes_no_boxes_from_elsewhere(flight, boxes, tmp_path):
    config = config_of(tmp_path / "runs")
    (tmp_path / "runs" / "a").mkdir(parents=True)
    (tmp_path / "runs" / "a" / "forgotten.json").write_text('{"frames": {"3": [[1, 1, 9, 9]]}}')
    with pytest.raises(PipelineError, match="a person was erased from this flight"):
        import_detections(config, flight, boxes, Reading(), progress_bar)


def test_several_flights_by_their_names(flight, boxes, tmp_path):
    for name in "bc":
        shutil.copy(flight, tmp_path / f"{name}.mp4")
    shutil.copy(boxes, tmp_path / "b.csv")
    videos = [str(tmp_path / f"{name}.mp4") for name in "bc"]
    command = [
        "detections",
        "import",
        str(tmp_path / "{flight}.csv"),
        *videos,
        "--workspace",
        str(tmp_path / "runs"),
    ]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 1
    assert f"{tmp_path / 'b.csv'}: 18 boxes read, 17 used" in result.output
    assert f"failed: {tmp_path / 'c.csv'}: no such file or folder of detections" in result.output
    assert "1 of 2 flights failed" in result.output
    result = CliRunner().invoke(main, ["detections", "import", str(boxes), *videos])
    assert "2 flights; write {flight} where their names differ" in result.output
