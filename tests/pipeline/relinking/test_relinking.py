import csv
import itertools
import shlex
import shutil
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from annotate.files import TEXT_LOG
from annotate.log import database
from annotate.log.store import LABELS, LabelStore
from annotate.log.text import replay, write_log
from annotate.operations import Mark, Merge, NewIdentity, Relink, SetMark, Split
from pipeline.cli import main
from pipeline.relinking.carry_over import NOT_CARRIED
from pipeline.relinking.keep import BOXES, serving
from pipeline.relinking.match import carry
from pipeline.workspace.folders import FAILED
from tests.pipeline.relinking.squares import SHORT, call, label, labelled, operations

LONGER = ("--set", "tracks.min_length=10")


def run(command, *words):
    result = call(command, *words)
    assert result.exit_code == 0, result.output
    return result.output


def names(workspace):
    """Every labelled detection is of the person in whose lane it is."""
    found = labelled(workspace)
    assert found
    assert all(name in (f"lane {lane}", "open") for (lane, _), name in found.items()), found
    return found


def test_other_settings_keep_the_labels_and_list_what_is_gone(flight):
    workspace = flight.parent
    label(workspace)
    before = labelled(workspace)
    out = run("tracks", *LONGER)
    assert "label      3 carried over, 1 without counterpart, 0 to decide again" in out
    after = names(workspace)
    assert after == {at: name for at, name in before.items() if at[0] != SHORT}
    (row,) = csv.DictReader((workspace / NOT_CARRIED).open())
    assert (row["which"], row["reason"]) == ("old", "no new tracklet")
    assert (row["first_frame"], row["last_frame"], row["label"]) == ("9", "14", "4")
    assert not (flight / BOXES).exists()
    assert "all 3 tracklets have a label" in run("run", *LONGER, "--until", "dataset")
    table = pd.read_parquet(workspace / "dataset" / "dataset.parquet")
    assert set(table["labeller"]) == {"uavpipe for ann"}
    assert "up to date" in run("tracks", *LONGER).splitlines()[-1]
    run("tracks")
    assert {name for (lane, _), name in names(workspace).items() if lane == SHORT} == {"open"}


def test_crops_that_are_gone_hold_nothing_up(flight):
    label(flight.parent)
    shutil.rmtree(flight / "crops")
    assert "label      3 carried over" in run("tracks", *LONGER)
    names(flight.parent)


def test_imported_detections_keep_the_labels(flight):
    label(flight.parent)
    before = labelled(flight.parent)
    rows = read(flight, "detections/detections.parquet")
    rows[["x1", "y1", "x2", "y2"]] += 1
    rows.drop(columns=["pts_s", "rank"]).to_csv("other.csv", index=False)
    run("detections import", "other.csv", "f1", "--replace", "--set", "frames.segment_frames=8")
    assert (flight / BOXES).is_file()
    assert "label      4 carried over" in run("tracks")
    assert names(flight.parent) == before


def test_a_newer_checkpoint_keeps_the_labels_though_ranks_and_boxes_are_others(flight, weights):
    workspace = flight.parent
    label(workspace)
    before, ranks = labelled(workspace), read(flight, "tracks/tracklets.parquet")
    weights.append(2)
    plan = run("tracks", "--dry-run")
    assert "tracks     would run: other detect, other appearance; labels of 4 tracklets are carried over" in plan
    assert plan == run("run", "--dry-run", "--until", "tracks")
    assert not (flight / BOXES).exists()
    out = run("tracks")
    assert "label      4 carried over, 0 without counterpart" in out
    assert names(workspace) == before
    assert not read(flight, "tracks/tracklets.parquet").equals(ranks)
    assert not (workspace / NOT_CARRIED).exists()


def read(flight, table):
    return pd.read_parquet(flight / table)


def test_cuts_merges_and_marks_are_kept_and_history_stays(flight, tmp_path):
    workspace = flight.parent
    label(workspace, marks={1: Mark.JUNK, 2: Mark.DISTRACTOR})
    with LabelStore(workspace / LABELS) as store:
        cut = store.apply(Split(tracklet="f1/0", frame=12), user="bob", id="b1").created
        store.apply(NewIdentity(tracklets=(cut,), name="other"), user="bob", id="b2")
        store.apply(NewIdentity(tracklets=("f1/3",), name="third"), user="ann", id="b3")
        gone = store.state.labels["f1/3"]
        store.apply(Merge(source=gone, into=1), user="ann", id="b4")
    before, log = labelled(workspace), operations(workspace)
    run("tracks", "--set", "tracks.min_length=4")  # the same tracklets from another setting
    assert operations(workspace) == log
    run("tracks", *LONGER)
    assert labelled(workspace) == {at: name for at, name in before.items() if at[0] != SHORT}
    assert operations(workspace)[: len(log)] == log
    with LabelStore(workspace / LABELS) as store:
        write_log(tmp_path / "log.jsonl", store.entries)
        after = store.apply(SetMark(tracklets=("f1/0",), mark=Mark.OPEN), user="ann", id="c1")
        store.undo(user="ann", id="c2")
        assert store.state.labels["f1/0"] == 1, after
        with pytest.raises(Exception, match=r"cannot be undone: operation .* by uavpipe\) builds on it"):
            store.undo(user="ann", id="c3")
    assert replay(tmp_path / "log.jsonl", tmp_path / "again.sqlite")


def test_what_was_undone_is_not_done_to_a_tracklet_of_the_same_name(flight):
    workspace = flight.parent
    label(workspace)
    with LabelStore(workspace / LABELS) as store:
        store.apply(SetMark(tracklets=("f1/3",), mark=Mark.JUNK), user="ann", id="c1")
        store.undo(user="ann", id="c2")
    run("tracks", *LONGER)
    with LabelStore(workspace / LABELS) as store, pytest.raises(Exception, match="ann has nothing to redo"):
        store.redo(user="ann", id="c3")


def test_an_open_labelling_app_refuses_before_anything_is_overwritten(flight, weights, monkeypatch):
    workspace = flight.parent
    label(workspace)
    monkeypatch.setattr("pipeline.relinking.keep._WAIT_S", 0.0)
    before = files(workspace)
    weights.append(2)
    with serving(workspace):
        for command in ("tracks", "detect"):
            result = call(command)
            assert result.exit_code == 1
            assert "the labelling app is open" in result.output
            assert len(result.output.splitlines()) == 1
        assert "would be refused: runs/labels.sqlite: the labelling app is open" in run("tracks", "--dry-run")
    assert files(workspace) == before
    run("tracks")


def files(workspace):
    """The results; the record of an error is none."""
    return {
        path: path.read_bytes()
        for path in workspace.rglob("*")
        if path.suffix in (".parquet", ".json", ".jpg") and path.name != FAILED and path.is_file()
    }


def test_the_labelling_app_holds_the_labels(flight, monkeypatch):
    label(flight.parent)
    monkeypatch.setattr("pipeline.relinking.keep._WAIT_S", 0.0)
    tried = []
    monkeypatch.setattr("uvicorn.Server.run", lambda *_: tried.append(call("tracks", *LONGER)))
    assert call("label", "--no-suggest", "--no-browser").exit_code == 0
    assert "the labelling app is open" in tried[0].output


def test_labelled_tracklets_that_are_gone_are_made_again_and_no_others(flight, weights):
    workspace = flight.parent
    label(workspace)
    before, log = labelled(workspace), operations(workspace)
    table = flight / "tracks" / "tracklets.parquet"
    rows = pd.read_parquet(table)
    rows[rows["tracklet"] > 0].to_parquet(table, index=False)
    gone = "its 4 labelled tracklets are gone, and others come out now; use the settings and weights of before"
    assert "refused unless the same come out" in run("tracks", *LONGER, "--dry-run")
    for damage in (lambda: None, lambda: shutil.rmtree(flight / "tracks")):
        damage()
        result = call("tracks", *LONGER)
        assert result.exit_code == 1
        assert f"runs/f1: {gone}, or choose another --workspace" in result.output
        assert len(result.output.splitlines()) == 1
    weights.append(2)
    result = call("tracks")
    assert result.exit_code == 1
    assert "tracklets.parquet: cannot be read" in result.output
    assert "the tracklets have labels; use the settings and weights of before" in result.output
    weights.append(1)
    assert "up to date" in run("detect").splitlines()[1]  # nothing was overwritten
    run("tracks")
    assert (labelled(workspace), operations(workspace)) == (before, log)


def test_detections_alone_leave_the_labels_waiting(flight, weights):
    workspace = flight.parent
    label(workspace)
    before = labelled(workspace)
    weights.append(2)
    run("detect")
    for command in ("label", "dataset", "annotate export out.txt"):
        result = call(command)
        assert result.exit_code == 1
        assert "have not got their labels yet; first: uavpipe tracks " in result.output
    result = call("forget", "1", "--yes")
    assert "have not got their labels yet" in result.output
    run("tracks")
    assert labelled(workspace) == before


class Killed(BaseException):
    """Nothing catches it, as nothing catches a kill."""


@pytest.fixture
def killing(monkeypatch):
    """Called with n: the n-th file that is renamed or removed, or row of the log that is written, is the last."""
    left = itertools.count(10**6, -1)

    def counted(function):
        def call(*args, **kwargs):
            if next(left) <= 0:
                raise Killed
            return function(*args, **kwargs)

        return call

    monkeypatch.setattr(Path, "replace", counted(Path.replace))
    monkeypatch.setattr(Path, "unlink", counted(Path.unlink))
    monkeypatch.setattr(database, "append_row", counted(database.append_row))

    def after(count):
        nonlocal left
        left = itertools.count(count, -1)

    return after


@pytest.mark.parametrize(("command", "every"), [(("tracks", *LONGER), 1), (("tracks",), 7)])
def test_killed_anywhere_it_ends_alike(flight, weights, killing, command, every, tmp_path):
    workspace = flight.parent
    label(workspace)
    if command == ("tracks",):
        weights.append(2)
    shutil.copytree(workspace, tmp_path / "before")
    run(*command)
    expected = state(workspace)
    for kills in itertools.count(1, every):
        shutil.rmtree(workspace)
        shutil.copytree(tmp_path / "before", workspace)
        if not killed(killing, kills, *command):
            break
        run(*command)
        assert state(workspace) == expected, kills
        assert not (flight / BOXES).exists()
    assert kills > 8  # it was killed at all


def killed(killing, count, *command):
    killing(count)
    try:
        run(*command)
    except Killed:
        return True
    finally:
        killing(10**6)
    return False


def state(workspace):
    path = workspace / NOT_CARRIED
    return labelled(workspace), operations(workspace), path.read_text() if path.exists() else ""


def test_killed_then_run_with_the_settings_of_before_nothing_happened(flight, weights, killing):
    workspace = flight.parent
    label(workspace)
    before, log = labelled(workspace), operations(workspace)
    weights.append(2)
    assert killed(killing, 6, "tracks")
    assert (flight / BOXES).exists()
    weights.append(1)
    run("tracks")
    assert (labelled(workspace), operations(workspace)) == (before, log)


def test_kept_boxes_that_are_damaged_refuse(flight, weights):
    workspace = flight.parent
    label(workspace)
    weights.append(2)
    run("detect")
    kept, before = flight / BOXES, files(workspace)
    whole = kept.read_bytes()
    for damage in (whole[:-9], whole[:40] + bytes([whole[40] ^ 1]) + whole[41:], b""):
        kept.write_bytes(damage)
        result = call("tracks")
        assert result.exit_code == 1
        assert "labelled_boxes.parquet: damaged, and labels have to be carried over by it" in result.output
        kept.write_bytes(whole)
        assert files(workspace) == before
    run("tracks")
    names(workspace)


def test_the_same_ranks_of_other_detections_are_other_persons(flight, weights):
    workspace = flight.parent
    label(workspace)
    before = labelled(workspace)
    weights.append(2)
    run("detect")
    (flight / BOXES).unlink()  # as an earlier version left it, which kept none
    result = call("tracks")
    assert result.exit_code == 1
    assert "its 4 labelled tracklets are gone, and others come out now" in result.output
    weights.append(1)
    run("tracks")
    assert labelled(workspace) == before


def test_a_decision_meanwhile_is_not_lost(flight, monkeypatch):
    workspace = flight.parent
    label(workspace)

    def meanwhile(*arguments):
        with LabelStore(workspace / LABELS) as other:
            other.apply(SetMark(tracklets=("f1/0",), mark=Mark.JUNK), user="bob", id="b1")
        return carry(*arguments)

    monkeypatch.setattr("pipeline.relinking.carry_over.carry", meanwhile)
    result = call("tracks", *LONGER)
    assert result.exit_code == 1
    assert "somebody decided meanwhile; run again" in result.output
    monkeypatch.undo()
    monkeypatch.chdir(workspace.parent)
    run("tracks", *LONGER)
    assert {name for (lane, _), name in labelled(workspace).items() if lane == 0} == {"junk"}


def test_forgetting_somebody_deletes_the_list_and_the_tracklets_of_before(flight):
    workspace = flight.parent
    label(workspace)
    run("tracks", *LONGER)
    assert (workspace / NOT_CARRIED).exists()
    run("forget", "1", "--yes")
    assert not (workspace / NOT_CARRIED).exists()
    assert not any(isinstance(each, Relink) for _, each in operations(workspace))
    assert {lane for lane, _ in names(workspace)} == {1, 2}


def test_labels_that_are_left_in_their_text_alone_keep_their_tracklets(flight):
    workspace = flight.parent
    label(workspace)
    before = labelled(workspace)
    for path in workspace.glob(f"{LABELS}*"):
        if not path.name.endswith(TEXT_LOG):
            path.unlink()
    kept = files(workspace)
    result = call("tracks", *LONGER)
    assert result.exit_code == 1
    assert "missing, but labels.sqlite.log.jsonl has its 5 operations: `uavpipe annotate log" in result.output
    assert files(workspace) == kept
    run("annotate log", "--recover")
    assert labelled(workspace) == before
    assert "label      3 carried over" in run("tracks", *LONGER)


def test_one_flight_is_linked_again_beside_another(flight):
    workspace = flight.parent
    shutil.copytree(flight, workspace / "f2")
    label(workspace)
    run("tracks", *LONGER)
    with LabelStore(workspace / LABELS) as store:
        assert list(store.state.flights) == ["f1", "f2"]  # their numbers in the data set stay
        assert {name for name in store.state.labels if name.startswith("f2")} == {f"f2/{at}" for at in range(4)}
        assert {store.state.labels[f"f2/{at}"] for at in range(4)} == {1, 2, 3, 4}


def mends(path):
    """The command that `uavpipe verify` names for the damaged `path`; it is run, and then nothing is damaged."""
    result = call("verify")
    assert result.exit_code == 1, result.output
    assert f"  {path.relative_to(Path.cwd())}: " in result.output
    line = next(line for line in result.output.splitlines() if "mend: " in line)
    command = CliRunner().invoke(main, shlex.split(line.partition("mend: uavpipe ")[2]))
    assert command.exit_code == 0, command.output
    assert call("verify").exit_code == 0


def test_what_verify_names_mends(flight):
    run("tracks", "--set", "frames.images=true")
    crop = next((flight / "crops" / "images").rglob("*.jpg"))
    crop.write_bytes(crop.read_bytes()[:-1] + b"?")
    mends(crop)
    picture = flight / "frames" / "images" / "00000008" / "00000009.jpg"
    picture.unlink()
    mends(picture)
    (flight / "tracks" / "tracklets.parquet").unlink()
    mends(flight / "tracks" / "tracklets.parquet")
    label(flight.parent)
    run("dataset")
    picture = next((flight.parent / "dataset").rglob("*.jpg"))
    picture.unlink()
    mends(picture)
    (flight / BOXES).write_text("")
    assert "note: labels of f1 wait to be carried over" in run("verify")
