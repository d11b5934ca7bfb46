"""What the report says where something is missing, and what it refuses."""

import json
import math
import shlex
import shutil
from collections import Counter

import cv2
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from markupsafe import escape

from annotate.operations import NewIdentity
from annotate.project import Project
from detector.models.header import read_header
from detector.models.weights import EMBEDDED
from pipeline.cli import main
from pipeline.groundtruth.read import find_truth
from pipeline.report.provenance import provenance_of_evaluation
from pipeline.sightings import tracklets
from pipeline.workspace.folders import locked


def report(workspace, *settings):
    return CliRunner().invoke(main, ["report", "--workspace", str(workspace), *settings])


def refused(result):
    assert result.exit_code == 1
    assert result.output.startswith("uavpipe: ")
    assert len(result.output.splitlines()) == 1
    return result.output


def test_without_a_flight_there_is_nothing_to_report(tmp_path):
    assert "no flight here to report on" in refused(report(tmp_path))


@pytest.mark.parametrize("flights", [1, 5])
def test_tracklets_are_read_as_often_however_many_flights_there_are(make_workspace, walk, monkeypatch, flights):
    reads, read = [], tracklets.read_file
    monkeypatch.setattr(tracklets, "read_file", lambda path, *names: reads.append(path) or read(path, *names))
    workspace = make_workspace({f"f{number}": [walk(1, 0, 8)] for number in range(flights)})
    result = report(workspace)
    assert result.exit_code == 0, result.output
    assert reads
    assert max(Counter(reads).values()) <= 2  # for the clips, and for the persons


def test_a_flight_without_a_video_or_labels_has_a_report(make_workspace, walk):
    workspace = make_workspace({"f1": [walk(1, 0, 8), walk(2, 4, 8)]})
    result = report(workspace)
    assert result.exit_code == 0, result.output
    page = (workspace / "report" / "index.html").read_text()
    assert f"uavpipe label --workspace {workspace}" in page
    assert f"uavpipe dataset --workspace {workspace}" in page
    assert page.count('class="lane"') == 2  # the second begins before the first ends


def test_the_page_states_the_terms_of_the_networks(reported):
    page = reported[1].read_text("utf-8")
    terms = read_header(EMBEDDED).terms
    assert f"<tr><td>detector</td><td>embedded</td><td>{escape(terms)}</td></tr>" in page


def test_damaged_labels_do_not_hide_the_rest(make_workspace, walk):
    workspace = make_workspace({"f1": [walk(1, 0, 8)]})
    (workspace / "labels.sqlite").write_text("no data base")
    assert report(workspace).exit_code == 0
    page = (workspace / "report" / "index.html").read_text()
    assert "labels.sqlite: " in page
    assert page.count('class="lane"') == 1


def test_crops_that_went_after_they_were_measured_are_named_gone(reported, tmp_path):
    workspace = shutil.copytree(reported[0], tmp_path / "runs")
    shutil.rmtree(workspace / "dataset")
    assert report(workspace, "--set", "report.clip_s=0").exit_code == 0
    page = (workspace / "report" / "index.html").read_text()
    assert "There is none yet" in page
    assert "<video" not in page


def test_a_video_that_is_gone_leaves_the_rest(reported, tmp_path):
    workspace = shutil.copytree(reported[0], tmp_path / "runs")
    card = workspace / "flight1" / "flight.json"
    card.unlink()
    shutil.rmtree(workspace / "flight1" / "clip")
    assert report(workspace, "--set", "report.clip_s=1").exit_code == 0
    page = (workspace / "report" / "index.html").read_text()
    assert "No clip: " in page
    assert page.count("<video") == 1


def dropped(column):
    def damage(path):
        for part in sorted(path.glob("part-*.parquet")) or [path]:
            pd.read_parquet(part).drop(columns=column).to_parquet(part, index=False)

    return damage


def untimed(path):
    for part in path.glob("part-*.parquet"):
        pd.read_parquet(part).assign(pts_s=math.nan).to_parquet(part, index=False)


@pytest.mark.parametrize(
    ("file", "damage", "told"),
    [
        ("flight1/frames/frames.parquet", dropped("altitude_m"), "frames.parquet: no column altitude_m"),
        ("flight1/frames/frames.parquet", untimed, "flight1: no frame has a time stamp"),
        ("flight1/detections/detections.parquet", dropped("score"), "detections.parquet: no column score"),
        ("dataset/dataset.parquet", dropped("split"), "dataset.parquet: no column split"),
        ("dataset/statistics.json", lambda path: path.write_text("{}"), "statistics.json: no protocol, crops"),
    ],
)
def test_tables_of_another_version_are_told(reported, tmp_path, file, damage, told):
    workspace = shutil.copytree(reported[0], tmp_path / "runs")
    damage(workspace / file)
    assert told in refused(report(workspace, "--set", "report.clip_s=0"))


def test_an_evaluation_without_its_counts_is_left_out(reported, tmp_path):
    workspace = shutil.copytree(reported[0], tmp_path / "runs")
    metrics = workspace / "reid" / "embedded" / "test" / "metrics.json"
    metrics.write_text(json.dumps(json.loads(metrics.read_text()) | {"counts": {"queries": 3}}))
    assert report(workspace, "--set", "report.clip_s=0").exit_code == 0
    assert "CMC" not in (workspace / "report" / "index.html").read_text()


def test_what_is_not_a_report_is_not_replaced(make_workspace, walk):
    workspace = make_workspace({"f1": [walk(1, 0, 8)]})
    (workspace / "report").mkdir()
    (workspace / "report" / "index.html").write_text("my own")
    assert "not a report by uavpipe" in refused(report(workspace))
    assert (workspace / "report" / "index.html").read_text() == "my own"


def test_two_at_once_do_not_mix(make_workspace, walk):
    workspace = make_workspace({"f1": [walk(1, 0, 8)]})
    with locked(workspace):
        assert "another uavpipe" in refused(report(workspace))
    assert report(workspace).exit_code == 0


def test_again_the_clip_stands_and_the_page_is_new(reported, tmp_path):
    workspace = shutil.copytree(reported[0], tmp_path / "runs")
    clip = workspace / "flight1" / "clip" / "clip.mp4"
    before = clip.stat().st_mtime_ns
    project = Project(workspace)
    with project.reading() as state:
        name = next(iter(state.tracklets))
    project.store.apply(NewIdentity(tracklets=(name,), name="Renamed"), user="ann", id="new")
    project.close()
    assert report(workspace, "--set", "report.clip_s=1").exit_code == 0
    assert clip.stat().st_mtime_ns == before
    assert "Renamed" in (workspace / "report" / "index.html").read_text()


def test_the_truth_is_found_beside_the_video_or_where_it_is_named(tmp_path):
    video = tmp_path / "flight.mp4"
    assert find_truth("auto", video) is None
    truth = tmp_path / "flight.gt.txt"
    truth.touch()
    assert find_truth("auto", video) == truth
    assert find_truth("off", video) is None
    assert find_truth(truth, tmp_path / "other.mp4") == truth
    assert find_truth(tmp_path, tmp_path / "elsewhere" / "flight.mp4") == truth
    assert find_truth(tmp_path, tmp_path / "other.mp4") is None


def test_a_truth_that_was_named_must_be_there(make_workspace, walk, tmp_path):
    from pipeline.errors import PipelineError

    with pytest.raises(PipelineError, match=r"nowhere\.txt: no such ground truth"):
        find_truth(tmp_path / "nowhere.txt", tmp_path / "flight.mp4")


def test_the_command_of_an_evaluation_measures_the_same_again(reported, tmp_path):
    metrics = reported[0] / "reid" / "embedded" / "test" / "metrics.json"
    words = shlex.split(provenance_of_evaluation("embedded", metrics).command)
    words[words.index("--out") + 1] = str(tmp_path / "again")
    result = CliRunner().invoke(main, words[1:])
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "again" / "metrics.json").read_text()) == json.loads(metrics.read_text())


def secret(folder):
    """A picture that is nobody's business."""
    folder.mkdir()
    path = folder / "secret.png"
    cv2.imwrite(str(path), np.full((40, 20, 3), (0, 0, 255), np.uint8))
    return path


def shown(workspace):
    """The number of pictures in the report, all of which are of one colour."""
    return [cv2.imread(str(path))[5, 5].tolist() for path in (workspace / "report" / "crops").glob("*.jpg")]


def test_a_report_shows_no_picture_that_a_ranked_list_names_outside(make_workspace, walk, tmp_path, caplog):
    workspace, path = make_workspace({"f1": [walk(1, 0, 8)]}), secret(tmp_path / "home")
    test = workspace / "reid" / "x" / "test"
    test.mkdir(parents=True)
    (workspace / "dataset").mkdir()
    (workspace / "dataset" / "link.png").symlink_to(path)
    names = [str(path), f"{workspace}/dataset/../../home/secret.png", f"{workspace}/dataset/link.png"]
    of_query = {"repeat": 0, "identity": 1, "camera": 1, "average_precision": 0.5, "first_hit": 1, "positives": 1}
    queries = [{"query": place, **of_query, "path": name} for place, name in enumerate(names)]
    pd.DataFrame(queries).to_parquet(test / "queries.parquet")
    ranked = [{"query": 0, "place": place, "path": name} for place, name in enumerate(names, 1)]
    of_ranked = {"camera": 1, "distance": 0.5, "right": True}
    pd.DataFrame([{**row, **of_ranked} for row in ranked]).to_parquet(test / "ranked.parquet")
    counts = {"queries": 3, "queries_skipped": 0, "gallery": 3}
    figures = {"mAP": 0.5, "rank-1": 0.5, "counts": counts, "settings": {}, "inputs": {}}
    (test / "metrics.json").write_text(json.dumps(figures))
    assert report(workspace).exit_code == 0
    assert [0, 0, 254] not in shown(workspace)
    assert "no picture" in (workspace / "report" / "index.html").read_text()
    assert "crops without a picture" in caplog.text
    figures["inputs"] = {"data": f"market:{path.parent}"}  # it was measured on them, and says so
    (test / "metrics.json").write_text(json.dumps(figures))
    assert report(workspace).exit_code == 0
    assert [0, 0, 254] in shown(workspace)


def test_a_report_shows_no_crop_that_leads_out_of_its_folder(make_workspace, walk, tmp_path):
    workspace, path = make_workspace({"f1": [walk(1, 0, 8), walk(2, 0, 8)]}), secret(tmp_path / "home")
    crops = workspace / "f1" / "crops" / "images"
    for crop in list(crops.glob("*_0.jpg")):
        crop.unlink()
        crop.symlink_to(path)
    project = Project(workspace)
    for number in range(2):
        project.store.apply(NewIdentity(tracklets=(f"f1/{number}",)), user="ann", id=f"a{number}")
    project.close()
    assert report(workspace).exit_code == 0
    assert len(shown(workspace)) == 4  # of the other identity
    assert [0, 0, 254] not in shown(workspace)
