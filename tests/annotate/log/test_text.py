import json

import pytest

from annotate.errors import AnnotateError, Refused
from annotate.log.store import LabelStore
from annotate.log.text import read_log, replay, write_log
from annotate.operations import NewIdentity, Rename
from annotate.records import Detection, Tracklet


@pytest.fixture
def store(tmp_path):
    with LabelStore(tmp_path / "labels.sqlite") as store:
        store.add_flight("f", [Tracklet("f", 0, (Detection(0, 0, 0.0, (0, 0, 1, 1), 1.0),))])
        store.apply(NewIdentity(tracklets=("f/0",), name="Änne <b>"), user="ann", id="a")
        store.undo(user="ann", id="b")
        store.redo(user="ann", id="c")
        yield store


@pytest.fixture
def log(store, tmp_path):
    write_log(tmp_path / "log.jsonl", store.entries)
    return tmp_path / "log.jsonl"


def test_replayed_labels_are_the_same(store, log, tmp_path):
    assert replay(log, tmp_path / "again.sqlite") == 4
    with LabelStore(tmp_path / "again.sqlite", create=False) as again:
        assert again.state == store.state
        assert again.chain == store.chain
    write_log(tmp_path / "again.jsonl", read_log(log))
    assert (tmp_path / "again.jsonl").read_bytes() == log.read_bytes()
    assert {path.name for path in tmp_path.iterdir() if path.name.startswith(".")} == set()
    with pytest.raises(AnnotateError, match="already exists"):
        replay(log, tmp_path / "again.sqlite")


def lines(log, change):
    rows = log.read_text("utf-8").splitlines()
    change(rows)
    log.write_text("\n".join(rows) + "\n", "utf-8")


def renamed(rows):
    rows[2] = rows[2].replace("Änne", "Anne")


def unknown(rows):
    rows[2] = rows[2].replace("new_identity", "format_disk")


def newer(rows):
    rows[0] = json.dumps({**json.loads(rows[0]), "version": 2})


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (renamed, "line 3: not as it was written"),
        (unknown, "line 3: operation: .*'format_disk'"),
        (lambda rows: rows.pop(), "3 operations, expected 4: cut off"),
        (lambda rows: rows.pop(2), "line 3: not as it was written, or a line before it is missing"),
        (lambda rows: rows.pop(0), "line 1: not a log of labels"),
        (lambda rows: rows.clear(), "line 1: not a log of labels"),
        (lambda rows: rows.insert(1, "[" * 10_000), "line 2: Invalid JSON"),
        (newer, "format 2, this uavpipe knows 1"),
    ],
)
def test_a_changed_log_is_refused_by_line(log, tmp_path, change, complaint):
    lines(log, change)
    with pytest.raises(AnnotateError, match=complaint):
        replay(log, tmp_path / "again.sqlite")
    assert not (tmp_path / "again.sqlite").exists()


def test_a_log_goes_on_where_another_ends(store, log, tmp_path):
    replay(log, tmp_path / "other.sqlite")
    with LabelStore(tmp_path / "other.sqlite") as other:
        other.apply(Rename(identity=1, name="Berta"), user="bob", id="d")
        assert store.take_log(other.entries) == 1
        assert store.state == other.state
        assert store.take_log(other.entries) == 0
        store.apply(Rename(identity=1, name="Clara"), user="ann", id="e")
        other.apply(Rename(identity=1, name="Dora"), user="bob", id="f")
        with pytest.raises(Refused, match=r"operation 6 is another one there \(rename by ann"):
            store.take_log(other.entries)
        assert store.state.identities == {1: "Clara"}
