import hashlib
import json
import subprocess
import sys
import tarfile
import threading
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from annotate.log.store import LABELS, LabelStore
from annotate.operations import Mark, SetMark
from pipeline.cli import main
from pipeline.labelling.progress import labelling_progress
from pipeline.run.status import state_of
from pipeline.workspace.folders import CARD, locked
from pipeline.workspace.manifest import StageFolder, read_record, write_record
from tests.pipeline.video.samples import write_video

ROOT = Path(__file__).parents[3]
ARCHIVE = Path(__file__).parent / "old_workspace.tar.xz"  # two flights, labelled, with a data set and an evaluation


@pytest.fixture
def runs(tmp_path, monkeypatch):
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    monkeypatch.chdir(tmp_path)
    return Path("runs")


def status(*arguments):
    result = CliRunner().invoke(main, ["status", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.output


def commands(text):
    return [line.strip() for line in text.splitlines() if line.startswith("    uavpipe")]


def states(flight):
    return {stage.stage: stage.state for stage in flight.stages}


def content(folder):
    return {path: hashlib.sha256(path.read_bytes()).digest() for path in folder.rglob("*") if path.is_file()}


def test_a_finished_workspace_is_not_changed(runs):
    before = content(runs)
    text = status()
    assert content(runs) == before
    rows = [line.split() for line in text.splitlines()]
    assert ["flight2", *["finished"] * 6] in rows
    assert "8 of 8 tracklets have a label" in text
    assert "dataset     finished: 27 train, 2 query, 19 gallery" in text
    assert commands(text) == ["uavpipe report --workspace runs"]


def test_it_can_be_read_by_programs(runs):
    found = json.loads(status("--json"))
    assert [flight["flight"] for flight in found["flights"]] == ["flight1", "flight2"]
    assert found["labels"] == {"labelled": 8, "tracklets": 8, "problem": ""}
    assert found["flights"][0]["stages"][2] == {
        "stage": "crops",
        "state": "finished",
        "detail": "30 crops, 8 frames with crops",
    }


def test_it_needs_nothing_heavy(runs):
    code = "import sys; from pipeline.cli import main\ntry: main(['status'])\nexcept SystemExit: pass\n"
    code += "print({'torch', 'pandas', 'cv2', 'av'} & set(sys.modules))"
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)}, check=True
    )
    assert "finished" in shown.stdout
    assert shown.stdout.splitlines()[-1] == "set()"


@pytest.mark.parametrize("shared", [False, True])
def test_a_flight_at_work_is_named_with_its_process(runs, shared):
    with locked(runs / "flight1", shared=shared):
        first, second = state_of(runs).flights
        text = status()
    assert "process" in first.running
    assert second.running == ""
    assert f"  at work: {first.running}" in text.splitlines()
    assert commands(text) == []
    assert state_of(runs).flights[0].running == ""


def test_a_run_that_begins_while_somebody_looks_is_not_turned_away(runs):
    held, release = threading.Event(), threading.Event()

    def look():
        with locked(runs / "flight1"):
            held.set()
            release.wait(0.02)

    thread = threading.Thread(target=look)
    thread.start()
    held.wait()
    with locked(runs / "flight1"):
        pass
    thread.join()


def test_a_stage_without_a_manifest_is_unfinished(runs):
    (runs / "flight1/detections/manifest.json").unlink()
    flight = state_of(runs).flights[0]
    assert states(flight)["detect"] == "unfinished"
    assert "detect unfinished: 2 segments done" in status()
    video = read_record(runs / "flight1" / CARD)["video"]
    assert commands(status())[0] == f"uavpipe run {video} --workspace runs"


def test_what_was_made_of_something_else_is_stale(runs):
    folder = StageFolder(runs / "flight1/detections")
    write_record(folder.path / "manifest.json", {**folder.manifest(), "fingerprint": "0" * 64})
    flight = state_of(runs).flights[0]
    assert [name for name, state in states(flight).items() if state == "stale"] == ["crops", "appearance", "tracks"]
    assert "crops stale: other detect" in status()
    (runs / "flight2/crops/crops.parquet/part-00000000.parquet").unlink()
    assert "crops stale: crops.parquet/part-00000000.parquet is gone" in status()


def test_a_video_that_changed_is_noticed(runs, tmp_path):
    card = read_record(runs / "flight1" / CARD)
    video = tmp_path / "flight1.mp4"
    write_record(runs / "flight1" / CARD, {**card, "video": str(video)})
    assert state_of(runs).flights[0].is_finished is ("stamp" not in card or card["stamp"] == stamp(video))
    write_record(runs / "flight1" / CARD, {**card, "video": str(video), "stamp": stamp(video)})
    assert state_of(runs).flights[0].is_finished
    time.sleep(0.01)
    video.write_bytes(video.read_bytes() + b"x")
    assert set(states(state_of(runs).flights[0]).values()) == {"stale"}
    video.unlink()  # the results do not need it
    assert state_of(runs).flights[0].is_finished


def stamp(video):
    found = video.stat()
    return [[video.name, found.st_size, found.st_mtime_ns]]


def test_labels_are_counted_as_the_run_counts_them(runs):
    with LabelStore(runs / LABELS) as store:
        store.apply(SetMark(tracklets=(sorted(store.state.labels)[0],), mark=Mark.OPEN), user="ann", id="again")
    found = state_of(runs)
    assert (found.labels.labelled, found.labels.tracklets) == (7, 8)
    counted = labelling_progress(runs)
    assert (counted.labelled, counted.tracklets) == (7, 8)
    text = status()
    assert commands(text)[0] == "uavpipe label --workspace runs"
    assert "dataset     stale: other labels" in text
    for path in runs.glob(f"{LABELS}*"):
        path.unlink()
    assert (state_of(runs).labels.labelled, state_of(runs).labels.tracklets) == (0, 8)


def test_labels_that_cannot_be_read_are_one_line(runs):
    (runs / LABELS).write_bytes(b"no database")
    text = status()
    assert f"runs/{LABELS}: " in text
    assert "repair the labels" in text


def test_an_error_is_kept_until_a_run_ends_well(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a.mp4").write_bytes(b"no video")
    write_video(Path("b.mp4"), frames=4)
    frames = ["run", "a.mp4", "b.mp4", "--until", "frames"]
    run = CliRunner().invoke(main, frames)
    assert run.exit_code == 1
    failed = state_of(Path("runs")).flights[0].failed
    assert f"failed: {failed}" in run.output.splitlines()
    assert f"  failed: {failed}" in status().splitlines()
    write_video(Path("a.mp4"), frames=4)
    assert CliRunner().invoke(main, frames).exit_code == 0
    assert state_of(Path("runs")).flights[0].failed == ""


def test_no_workspace_is_one_line(tmp_path):
    result = CliRunner().invoke(main, ["status", "--workspace", str(tmp_path)])
    assert (result.exit_code, result.output) == (1, f"uavpipe: {tmp_path}: no flights here; name the --workspace\n")
