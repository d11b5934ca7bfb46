import csv
import io
import json
import subprocess
import sys

import click
import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from annotate.exchange.mot import read_mot, write_mot
from annotate.log.store import LABELS, LabelStore
from annotate.operations import Mark, Review
from pipeline.cli import main

NAMES = [
    "bounding_box_train/0002_c1s1_000001_01.jpg",
    "bounding_box_train/0002_c1s1_000002_01.jpg",
    "bounding_box_train/0002_c1s1_000002_02.jpg",  # twice in one frame
    "bounding_box_train/0002_c2s1_000009_01.jpg",
    "bounding_box_test/-1_c1s1_000001_02.jpg",
    "bounding_box_test/0000_c1s1_000002_03.jpg",
    "query/0005_c2s1_000001_00.jpg",
]


def run(*arguments):
    return CliRunner().invoke(main, ["annotate", *map(str, arguments)])


def test_label_is_another_name_of_annotate_serve():
    context = click.Context(main)
    annotate = main.get_command(context, "annotate")
    assert main.get_command(context, "label") is annotate.get_command(context, "serve")


@pytest.fixture
def market(tmp_path):
    for number, name in enumerate(NAMES):
        (tmp_path / "market" / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / "market" / name), np.full((128, 64, 3), 30 * number, np.uint8))
    return tmp_path / "market"


@pytest.fixture
def workspace(tmp_path, market):
    shown = run("import", market, "--workspace", tmp_path / "runs", "--user", "ann")
    assert shown.exit_code == 0, shown.output
    assert "2 flights, 7 crops, 6 tracklets, 2 identities" in shown.output
    return tmp_path / "runs"


def state(workspace):
    with LabelStore(workspace / LABELS, create=False) as store:
        return store.state


def test_agreement_and_disagreements_as_tables(workspace, tmp_path):
    with LabelStore(workspace / LABELS) as store:
        name = next(name for name, label in store.state.labels.items() if label == 1)
        decision = store.decision(name).sequence
        review = Review(tracklet=name, decision=decision, verdict="questioned", reason='=1+1, "a hat"')
        store.apply(review, user="bob", id="r")
    rows = json.loads(run("agreement", "--workspace", workspace, "--format", "json").stdout)
    assert [(row["labeller"], row["confirmed"], row["questioned"]) for row in rows] == [("ann", 0, 1)]
    out = tmp_path / "doubts.csv"
    for _ in range(2):  # a file of its own is written over
        shown = run("disagreements", "--workspace", workspace, "--format", "csv", "--out", out)
        assert shown.exit_code == 0, shown.output
    (row,) = csv.DictReader(io.StringIO(out.read_text()))
    assert (row["tracklet"], row["label"], row["labeller"], row["reviewer"]) == (name, "1", "ann", "bob")
    assert row["reason"] == '=1+1, "a hat"'
    shown = run("disagreements", "--workspace", workspace)
    assert "tracklet" in shown.stdout.splitlines()[0]
    assert name in shown.stdout.splitlines()[1]
    missing = run("agreement", "--workspace", tmp_path / "elsewhere")
    assert missing.exit_code == 1
    assert "no such file; expected labels" in missing.output


def test_a_market_folder_becomes_labelled_flights(workspace):
    labels = state(workspace)
    assert labels.identities == {1: "2", 2: "5"}
    assert [labels.labelled()["c1s1", 2, rank] for rank in range(3)] == [Mark.DISTRACTOR, 1, 1]
    assert sorted(map(str, labels.labels.values())) == ["1", "1", "1", "2", "distractor", "junk"]
    assert sorted(label for label in labels.labels.values() if isinstance(label, Mark)) == [
        Mark.DISTRACTOR,
        Mark.JUNK,
    ]
    assert len(list(workspace.glob("*/crops/images/*.jpg"))) == len(NAMES)


def test_a_second_import_is_refused(workspace, market):
    shown = run("import", market, "--workspace", workspace)
    assert shown.exit_code == 1
    assert "c1s1: already exists" in shown.output


@pytest.mark.parametrize("name", ["out.txt", "out.xml", "out.json"])
def test_tracks_go_out_and_come_back_without_a_change(workspace, tmp_path, name):
    flight = [] if name == "out.json" else ["--flight", "c1s1"]
    shown = run("export", tmp_path / name, "--workspace", workspace, *flight)
    assert shown.exit_code == 0, shown.output
    before = state(workspace)
    shown = run("import", tmp_path / name, "--workspace", workspace, "--same-identities", *flight)
    assert shown.exit_code == 0, shown.output
    assert "0 tracklets labelled" in shown.output
    assert state(workspace) == before


def test_the_log_goes_out_and_makes_the_same_labels(workspace, tmp_path):
    assert run("export", tmp_path / "log.jsonl", "--workspace", workspace).exit_code == 0
    assert "6 operations" in run("replay", tmp_path / "log.jsonl", "--out", tmp_path / "again/labels.sqlite").output
    assert state(tmp_path / "again") == state(workspace)
    assert "0 new operations" in run("import", tmp_path / "log.jsonl", "--workspace", workspace).output
    shown = run("log", "--workspace", workspace, "--last", 2).output.splitlines()
    assert len(shown) == 2
    assert shown[-1].endswith("ann  new identity tracklets c2s1/1, name 5")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["export", "out.txt"], "expected one of c1s1, c2s1"),
        (["export", "out.txt", "--flight", ".."], "expected one of c1s1, c2s1"),
        (["export", "out.doc"], "unknown format"),
        (["import", "missing.xml", "--flight", "c1s1"], "cannot be read"),
        (["log", "--workspace", "nowhere"], "no such file"),
    ],
)
def test_mistakes_are_told(workspace, arguments, complaint):
    shown = run(arguments[0], "--workspace", workspace, *arguments[1:])
    assert shown.exit_code in (1, 2)
    assert complaint in shown.output


def test_tracks_made_again_are_not_exported_as_those_that_were_labelled(workspace, tmp_path):
    (workspace / "c1s1").rename(workspace / "old")
    (workspace / "c2s1").rename(workspace / "c1s1")
    shown = run("export", tmp_path / "a.json", "--workspace", workspace, "--flight", "c1s1")
    assert "tracklets of c1s1 are not those that were labelled" in shown.output


def test_mot_of_several_identities(workspace, tmp_path):
    run("export", tmp_path / "a.txt", "--workspace", workspace, "--flight", "c2s1")
    clip = read_mot(tmp_path / "a.txt", "c2s1")
    assert [(box.frame, box.track, box.box) for box in clip.boxes] == [
        (1, 2, (0, 0, 64, 128)),
        (9, 1, (0, 0, 64, 128)),
    ]
    write_mot(tmp_path / "b.txt", clip)
    assert (tmp_path / "b.txt").read_bytes() == (tmp_path / "a.txt").read_bytes()


def test_a_read_only_workspace_is_listed_and_exported(workspace, tmp_path, locked_up, unprivileged):
    locked_up(workspace)
    code = "from pipeline.cli import main\n"
    for command in (["log"], ["export", tmp_path / "log.jsonl"], ["export", tmp_path / "tracks.json"]):
        arguments = ["annotate", *map(str, command), "--workspace", str(workspace)]
        code += f"main({arguments!r}, standalone_mode=False)\n"
    ended = subprocess.run([*unprivileged, sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert "new identity" in ended.stdout
    assert "log.jsonl: 6 operations" in ended.stdout
    assert "boxes of 2 identities" in ended.stdout
    assert sorted(path.name for path in workspace.glob(f"{LABELS}*")) == [LABELS, f"{LABELS}.log.jsonl"]


def test_lost_decisions_are_told_and_recovered(workspace, tmp_path):
    whole = run("log", "--workspace", workspace).output
    (workspace / LABELS).unlink()
    shown = run("log", "--workspace", workspace)
    assert shown.exit_code == 1
    assert shown.output.count("\n") == 1
    assert f"`uavpipe annotate log --recover --workspace {workspace}`" in shown.output
    shown = run("log", "--workspace", workspace, "--recover")
    assert (
        "rebuilt with 6 operations, every hash verified: 6 from its text, 0 only from the database" in shown.output
    )
    assert run("log", "--workspace", workspace).output == whole
    assert "nothing to recover: 6 operations" in run("log", "--workspace", workspace, "--recover").output


def test_labels_are_not_recovered_where_somebody_is_half_erased(workspace):
    (workspace / ".forget").mkdir()
    (workspace / ".forget" / "journal.json").write_text("{}")
    shown = run("log", "--workspace", workspace, "--recover")
    assert shown.exit_code == 1
    assert "`uavpipe forget` was interrupted here" in shown.output


def test_a_workspace_that_is_not_there_is_not_made_to_recover_it(tmp_path):
    assert "no such folder" in run("log", "--workspace", tmp_path / "nowhere", "--recover").output
    assert not (tmp_path / "nowhere").exists()
