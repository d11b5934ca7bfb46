import json
import os
import shutil

import pytest

from annotate.errors import AnnotateError, Unusable
from annotate.log.recover import recover
from annotate.log.store import LabelStore
from annotate.log.text import read_log
from annotate.log.text_log import TextLog
from annotate.operations import NewIdentity


def lines(text):
    return text.read_bytes().splitlines()


def names(path, **options):
    with LabelStore(path, **options) as store:
        return list(store.state.identities.values())


def test_an_answered_decision_is_in_the_text_too(path, text, labelled, decide):
    with LabelStore(path) as store:
        decide(store, "d")
        assert json.loads(lines(text)[-1])["hash"] == store.chain
        assert read_log(text) == store.entries
        store.undo(user="ann", id="u")
        assert len(lines(text)) == 1 + len(store.entries)


def test_what_is_refused_is_not_in_the_text(path, text, labelled):
    before = text.read_bytes()
    with LabelStore(path) as store:
        with pytest.raises(AnnotateError):
            store.apply(NewIdentity(tracklets=("f/9",)), user="ann", id="x")
        with pytest.raises(AnnotateError), store.together(user="ann", id="y") as decide:
            decide(NewIdentity(name="y"))
            decide(NewIdentity(tracklets=("f/9",)))
    assert text.read_bytes() == before


def test_labels_from_before_get_their_text(path, text, labelled):
    before = text.read_bytes()
    text.unlink()
    assert names(path, write=False) == ["a", "b", "c"]
    assert not text.exists()  # not by a command that only reads
    assert names(path) == ["a", "b", "c"]
    assert text.read_bytes() == before


def test_a_text_that_is_deleted_under_the_program_is_written_again(path, text, labelled, decide):
    with LabelStore(path) as store:
        text.unlink()
        decide(store, "d")
        assert read_log(text) == store.entries


@pytest.mark.parametrize("write", [False, True])
def test_a_lost_write_ahead_log_is_told_and_nothing_goes_on(path, text, killed, write):
    path.with_name("labels.sqlite-wal").unlink()
    before = text.read_bytes()
    with pytest.raises(
        Unusable, match=r"4 operations, but labels\.sqlite\.log\.jsonl has 6: answered decisions are lost"
    ):
        LabelStore(path, write=write)
    with pytest.raises(Unusable, match="`uavpipe annotate log --recover --workspace "):
        LabelStore(path, write=write)
    assert text.read_bytes() == before


def test_the_database_itself_has_each_decision_at_once(path, labelled, decide, tmp_path):
    with LabelStore(path) as store:
        for name in ("d", "e"):
            decide(store, name)
            copy = tmp_path / f"{name}.sqlite"
            shutil.copyfile(path, copy)  # without the write-ahead log
            assert names(copy)[-1] == name


def test_with_its_write_ahead_log_nothing_is_lost(path, killed):
    assert names(path) == ["a", "b", "c", "d", "e"]


def test_a_database_that_is_gone_is_not_begun_again(path, labelled):
    path.unlink()
    for create in (True, False):
        with pytest.raises(
            Unusable, match=r"labels.sqlite: missing, but labels.sqlite.log.jsonl has its 4 operations"
        ):
            LabelStore(path, create=create)
    assert not path.exists()


def test_other_labels_in_its_place_are_told(path, text, labelled):
    mine = text.read_bytes()
    path.unlink()
    text.unlink()
    labelled("x", "y", "z")
    text.write_bytes(mine)
    with pytest.raises(Unusable, match=r"operation 4 is another one in labels\.sqlite\.log\.jsonl"):
        LabelStore(path)


@pytest.mark.parametrize("torn", [b"{", b"\0" * 5000, b'{"sequence": 5, "id": "d"'])
def test_a_torn_last_line_is_tolerated_and_replaced(path, text, labelled, torn):
    with text.open("ab") as file:
        file.write(torn)
    assert len(read_log(text)) == 4
    assert names(path, write=False) == ["a", "b", "c"]
    labelled("d")
    assert len(read_log(text)) == 5
    assert names(path) == ["a", "b", "c", "d"]


@pytest.mark.parametrize("kept", [0, 10, 1])
def test_a_text_that_was_cut_off_is_completed(path, text, labelled, kept):
    before = text.read_bytes()
    text.write_bytes(before[:kept] if kept != 1 else lines(text)[0] + b"\n")
    assert names(path) == ["a", "b", "c"]
    assert text.read_bytes() == before


@pytest.mark.parametrize(
    "last", [b"5", b"null", b"[[", b'{"sequence": "x"}', b'{"sequence": -9, "hash": ""}', b"\xff", b"[" * 100_000]
)
def test_a_last_line_that_was_changed_is_told(path, text, labelled, last):
    with text.open("ab") as file:
        file.write(last + b"\n")
    with pytest.raises(
        Unusable, match=r"log\.jsonl: its last line is not as it was written; `uavpipe annotate log"
    ):
        LabelStore(path)


def test_the_last_line_may_be_long(text):
    long = json.dumps({"sequence": 7, "hash": "h", "id": "i" * 300_000}).encode()
    text.write_bytes(b"{}\n" * 3 + long + b"\ntorn")
    assert TextLog(text.with_name("labels.sqlite")).last() == (7, "h")


def test_a_text_that_cannot_be_written_keeps_the_answer_back(path, text, labelled, decide, monkeypatch):
    with LabelStore(path) as store:
        with monkeypatch.context() as patch:
            patch.setattr("annotate.log.text_log.os.fsync", full)
            for _ in range(2):  # also where the request is repeated
                with pytest.raises(Unusable, match=r"log\.jsonl: cannot be written: No space left"):
                    decide(store, "d")
        assert store.apply(NewIdentity(name="d"), user="ann", id="d").repeated
        assert read_log(text) == store.entries


def full(_):
    raise OSError(28, "No space left on device")


def test_processes_that_take_turns_write_one_text(path, text, labelled, decide):
    with LabelStore(path) as one, LabelStore(path) as other:
        decide(one, "d")
        decide(other, "e")
        decide(one, "f")
        assert read_log(text) == one.entries
        assert [each.id for each in one.entries[1:]] == ["a", "b", "c", "d", "e", "f"]


def test_nothing_is_written_through_a_link_and_nothing_waits_for_a_pipe(path, text, labelled, tmp_path):
    precious = tmp_path / "precious.txt"
    precious.write_text("without a newline")
    text.unlink()
    text.symlink_to(precious)
    for _ in range(2):
        for action in (lambda: LabelStore(path), lambda: LabelStore(path, write=False), lambda: recover(path)):
            with pytest.raises(Unusable, match=r"log\.jsonl: a link or no regular file; remove it"):
                action()
        text.unlink()
        os.mkfifo(text)
    assert precious.read_text() == "without a newline"
