import json
import re
from pathlib import Path
from threading import Event
from unittest.mock import Mock

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from annotate.operations import NewIdentity
from annotate.project import Project
from detector.backends.load import load_predictor
from pipeline.cli import main
from pipeline.errors import PipelineError
from pipeline.labelling.progress import LabellingProgress, labelling_progress
from pipeline.run.flight import run_linking, run_segment_stages

SMALL = ("--set", "detector.weights=embedded", "--set", "detector.resize={width: 96, height: 96}")


@pytest.fixture
def flights(tmp_path, monkeypatch):
    """Two folders of images, and between them a file that is no video."""
    monkeypatch.chdir(tmp_path)
    for flight in ("one", "three"):
        (tmp_path / flight).mkdir()
        for number in range(3):
            picture = np.random.default_rng(number).integers(0, 255, (90, 120, 3)).astype(np.uint8)
            cv2.imwrite(f"{flight}/{number}.jpg", picture)
    (tmp_path / "two.mp4").write_text("no video")
    (tmp_path / "flight.yaml").write_text("videos: [one, two.mp4, three]\n")
    (tmp_path / "good.yaml").write_text("videos: [one, three]\n")
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(main, ["run", *arguments, *SMALL])


def test_a_bad_flight_does_not_stop_the_others(flights):
    result = run("--config", "flight.yaml")
    assert result.exit_code == 1
    assert "two.mp4: is not a video" in result.output
    assert "1 of 3 flights failed" in result.output
    for flight in ("one", "three"):
        assert (flights / "runs" / flight / "tracks" / "manifest.json").exists()


def test_the_model_is_loaded_once_for_all_flights(flights, monkeypatch):
    loaded = Mock(side_effect=load_predictor)
    monkeypatch.setattr("pipeline.run.flight.load_predictor", loaded)
    assert run("--config", "good.yaml", "--until", "detect").exit_code == 0
    assert loaded.call_count == 1


def test_the_next_flight_is_seen_while_one_is_linked(flights, monkeypatch):
    seen = Event()  # the second flight

    def pass_over(config, video, *arguments):
        if video.name == "three":
            seen.set()
        return run_segment_stages(config, video, *arguments)

    def link(config, video, since):
        assert video.name == "three" or seen.wait(60), "the next flight waits for this one"
        return run_linking(config, video, since)

    monkeypatch.setattr("pipeline.run.flights.run_segment_stages", pass_over)
    monkeypatch.setattr("pipeline.run.flights.run_linking", link)
    result = run("--config", "good.yaml", "--until", "tracks")
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.stdout.splitlines()]
    stages = ["frames", "detect", "crops", "motion", "appearance", "tracks"]
    assert [line[0] for line in lines] == stages * 2
    assert [Path(line[-1]).parent.name for line in lines] == ["one"] * 6 + ["three"] * 6


def test_a_flight_whose_linking_fails_does_not_stop_the_others(flights, monkeypatch):
    def link(config, video, since):
        if video.name == "one":
            raise PipelineError("one: cannot be linked")
        return run_linking(config, video, since)

    monkeypatch.setattr("pipeline.run.flights.run_linking", link)
    result = run("--config", "flight.yaml", "--until", "tracks")
    assert result.exit_code == 1
    failures = [line for line in result.stderr.splitlines() if line.startswith("failed: ")]
    assert [line.split(":")[1].strip() for line in failures] == ["one", "two.mp4"]  # in the order of the flights
    assert (flights / "runs" / "three" / "tracks" / "manifest.json").exists()


def test_it_stops_where_a_person_is_needed_and_says_how_to_go_on(flights):
    result = run("--config", "good.yaml", "--workspace", "my runs")
    assert result.exit_code == 0, result.output
    assert "no tracklet has a label yet" in result.output
    assert "uavpipe label --workspace 'my runs'" in result.output
    assert "uavpipe run --config good.yaml --workspace 'my runs' --set detector.weights=embedded" in result.output
    assert not (flights / "my runs" / "dataset").exists()


def test_going_on_keeps_what_was_asked_for(flights, monkeypatch):
    assert run("--config", "good.yaml", "--until", "tracks").exit_code == 0
    monkeypatch.setattr("pipeline.run.chain.labelling_progress", lambda workspace: LabellingProgress(1, 2))
    result = run("--config", "good.yaml", "--from", "crops", "--until", "evaluate")
    go_on, with_those = (line for line in result.output.splitlines() if line.startswith("  uavpipe run"))
    assert go_on.endswith("--from crops --until evaluate")  # else other weights at hand would detect all again
    assert with_those.endswith("--from dataset --until evaluate")


def test_again_everything_holds_and_other_commands_meet_it(flights):
    assert run("--config", "good.yaml", "--until", "detect").exit_code == 0
    assert not (flights / "runs" / "one" / "tracks").exists()
    assert CliRunner().invoke(main, ["tracks", "one", *SMALL]).exit_code == 0
    result = run("--config", "good.yaml", "--until", "tracks")
    assert result.output.count("up to date") == 6 + 2  # all of one; frames and detections of three


def planned(*arguments):
    result = run("--config", "good.yaml", "--dry-run", *arguments)
    assert result.exit_code == 0, result.output
    rows = [line.split(maxsplit=2) for line in result.output.splitlines()]
    return {(row[0], row[1]): row[2] for row in rows if row[0] in ("one", "three")}


def test_a_dry_run_says_what_would_run_and_why(flights):
    assert set(planned().values()) == {"would run: not done yet"}
    assert run("--config", "good.yaml").exit_code == 0
    assert set(planned().values()) == {"up to date"}
    found = planned("--set", "detector.threshold=0.3", "--set", "tracks.max_gap_s=2")
    assert found["one", "detect"] == "up to date"
    assert found["one", "crops"] == "would run: threshold 0.8 is now 0.3"
    assert found["one", "tracks"] == "would run: new_track_score 0.8 is now 0.3, max_gap_s 1.0 is now 2.0"
    (flights / "three" / "3.jpg").write_bytes((flights / "three" / "0.jpg").read_bytes())
    found = planned()
    assert found["one", "frames"] == "up to date"
    assert found["three", "frames"] == "would run: other video"
    assert (flights / "runs" / "three" / "frames" / "manifest.json").exists()  # nothing was done


def test_how_far_the_labelling_is(make_workspace, walk):
    workspace = make_workspace({"f1": [walk(1, 0, 8), walk(2, 4, 8)]})
    assert labelling_progress(workspace) == LabellingProgress(0, 0)  # nobody began
    project = Project(workspace)
    project.store.apply(NewIdentity(tracklets=("f1/0",)), user="ann", id="1")
    project.close()
    assert labelling_progress(workspace) == LabellingProgress(1, 2)


def test_it_goes_on_with_what_is_labelled(make_workspace, walk):
    workspace = make_workspace({"f1": [walk(1, 0, 8), walk(2, 100, 8), walk(3, 4, 8)]})
    result = run("--from", "dataset", "--workspace", str(workspace))
    assert result.exit_code == 1
    assert "no labels yet" in result.output
    project = Project(workspace)
    for number in (0, 1):
        project.store.apply(NewIdentity(tracklets=(f"f1/{number}",)), user="ann", id=str(number))
    project.close()
    result = run("--from", "dataset", "--workspace", str(workspace))
    assert result.exit_code == 0, result.output
    assert "16 crops of 1 flight" in result.output
    assert (workspace / "dataset" / "dataset.parquet").exists()
    assert "no query: no test identity" in result.output


def test_what_comes_with_uavpipe_is_measured_once(workspace_of_two_flights):
    result = run("--from", "dataset", "--workspace", str(workspace_of_two_flights))
    assert result.exit_code == 0, result.output
    (metrics,) = workspace_of_two_flights.glob("reid/embedded-*/test/metrics.json")
    content = json.loads(metrics.read_text())
    assert content["mAP"] == content["rank-1"] == 1.0  # each person wears one colour
    assert content["settings"]["protocol"] == "flight"
    result = run("--from", "dataset", "--workspace", str(workspace_of_two_flights))
    told = r"evaluate   up to date: mAP 1.0000, rank-1 1.0000 \(random features 0\.\d{4}, "
    assert re.search(told, result.output)
    for damaged in (metrics, metrics.with_name("queries.parquet")):
        before = damaged.read_bytes()
        damaged.write_bytes(before.replace(b"1", b"2", 1))
        result = run("--from", "dataset", "--workspace", str(workspace_of_two_flights))
        assert "evaluate   up to date" not in result.output
        assert damaged.read_bytes() == before


def test_a_changed_recipe_learns_in_a_folder_of_its_own(workspace_of_two_flights, tmp_path):
    recipe = "init: random\nnetwork: {backbone: resnet18, height: 32, width: 16}\ndecay_from: 1\n"
    recipe += "sampler: {identities: 2, images: 2}\n"
    asked = ("--from", "dataset", "--until", "evaluate", "--workspace", str(workspace_of_two_flights))
    asked += ("--set", f"reid.recipe={tmp_path / 'short.yaml'}")
    (tmp_path / "short.yaml").write_text(f"{recipe}iterations: 1\n")
    assert "train      would run: not done yet" in run(*asked, "--dry-run").output
    assert run(*asked, "--until", "dataset").exit_code == 0
    assert "train      would run: not done yet" in run(*asked, "--dry-run").output
    assert "incomplete, so --from cannot skip it" in run(*asked, "--from", "evaluate").output
    for iterations in (1, 2, 2):
        (tmp_path / "short.yaml").write_text(f"{recipe}iterations: {iterations}\n")
        result = run(*asked)
        assert result.exit_code == 0, result.output
    assert "train      up to date: 2 iterations" in result.output
    assert "evaluate   up to date" in result.output
    assert len(list(workspace_of_two_flights.glob("reid/short-*/test/metrics.json"))) == 2


@pytest.fixture
def workspace_of_two_flights(make_workspace, walk):
    """Four persons, in both flights; each crop with noise of its own, so that none is another's copy."""
    walks = [walk(person, 20 * person, 6) for person in range(1, 5)]
    workspace = make_workspace({"f1": walks, "f2": walks})
    for number, path in enumerate(sorted(workspace.glob("*/crops/images/*.jpg"))):
        noise = np.random.default_rng(number).integers(0, 60, (64, 32, 3))
        colour = cv2.resize(cv2.imread(str(path)), (32, 64)).astype(int)
        cv2.imwrite(str(path), np.clip(colour + noise, 0, 255).astype(np.uint8))
    project = Project(workspace)
    for person in range(4):
        tracklets = (f"f1/{person}", f"f2/{person}")
        project.store.apply(NewIdentity(tracklets=tracklets), user="ann", id=str(person))
    project.close()
    return workspace


def test_what_is_before_from_stays_as_it_is(flights):
    first = run("--config", "good.yaml", "--until", "tracks")
    assert first.exit_code == 0
    boxes = re.search(r"^detect +(\d+ box(?:es)?)", first.output, re.MULTILINE)[1]
    other = ("--set", "detector.floor=0.2", "--set", "detector.threshold=0.3")
    assert "would run: floor 0.05 is now 0.2" in planned(*other)["one", "detect"]
    found = planned(*other, "--from", "crops")
    assert found["one", "detect"] == found["one", "appearance"] == "up to date"
    assert found["one", "crops"] == "would run: threshold 0.8 is now 0.3"
    result = run("--config", "good.yaml", "--from", "crops", "--until", "tracks", *other)
    assert result.exit_code == 0, result.output
    assert f"detect     up to date: {boxes}" in result.output
    again = run("--config", "good.yaml", "--from", "tracks", "--until", "tracks", *other)
    assert "crops      up to date" in again.output


def test_from_leaves_out_only_what_is_there(flights):
    result = run("--config", "good.yaml", "--from", "crops")
    assert result.exit_code == 1
    assert "one/frames: this stage is incomplete, so --from cannot skip it" in result.output
    assert run("--config", "good.yaml", "--from", "crops", "--until", "detect").exit_code == 2


def test_a_dry_run_says_what_comes_after_the_labels(workspace_of_two_flights):
    def plan(*arguments):
        workspace = str(workspace_of_two_flights)
        lines = run("--from", "dataset", "--workspace", workspace, "--dry-run", *arguments).output.splitlines()
        return {line.split()[2]: line.split(maxsplit=3)[3] for line in lines}

    assert plan() == {
        "dataset": "would run: not done yet",
        "evaluate": "would run: not done yet",
        "report": "would run: written each time",
    }
    assert run("--from", "dataset", "--workspace", str(workspace_of_two_flights)).exit_code == 0
    assert (plan()["dataset"], plan()["evaluate"]) == ("up to date", "up to date")
    assert plan("--set", "dataset.seed=1")["dataset"] == "would run: seed 0 is now 1"
    project = Project(workspace_of_two_flights)
    project.store.apply(NewIdentity(tracklets=("f1/0",)), user="ann", id="again")
    project.close()
    assert plan()["dataset"] == "would run: other labels"


def test_from_evaluate_takes_the_data_set_as_it_is(workspace_of_two_flights):
    place = ("--workspace", str(workspace_of_two_flights))
    assert "incomplete" in run("--from", "evaluate", *place).output
    assert run("--from", "dataset", "--until", "dataset", *place).exit_code == 0
    result = run("--from", "evaluate", "--set", "dataset.seed=1", *place)
    assert result.exit_code == 0, result.output
    assert "dataset    up to date" in result.output
    assert (workspace_of_two_flights / "report" / "index.html").exists()
