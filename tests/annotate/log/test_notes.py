"""Notes, tags and reviews in the log: merged, undone, exported, erased with the person."""

import pytest
from pydantic import ValidationError

from annotate.errors import Refused
from annotate.log.forget import contents_without, log_without
from annotate.log.store import LabelStore
from annotate.log.text import replay, write_log
from annotate.operations import Assign, Merge, NewIdentity, Review, SetMark, SetNote, SetTags
from annotate.records import Detection, Tracklet


@pytest.fixture
def store(tmp_path):
    """Persons 1, 2 and 3 of bob, a tracklet each; f/3 is open."""
    tracklets = [Tracklet("f", number, (Detection(0, number, 0.0, (0, 0, 9, 9), 0.9),)) for number in range(4)]
    with LabelStore(tmp_path / "labels.sqlite") as store:
        store.add_flight("f", tracklets)
        for number in range(3):
            store.apply(NewIdentity(tracklets=(f"f/{number}",)), user="bob", id=f"b{number}")
        yield store


def do(store, *operations, user="ann"):
    for operation in operations:
        store.apply(operation, user=user, id=f"{user}{len(store.entries)}")


def known(store):
    return store.state.notes, store.state.tags


def test_a_merge_keeps_what_is_known_of_both_and_its_undoing_parts_it(store):
    do(store, SetNote(identity=1, text="red cap"), SetNote(identity=2, text="limps\nalone"))
    do(store, SetTags(identity=1, tags=("child", "red")), SetTags(identity=2, tags=("lost", "red")))
    before = ({1: "red cap", 2: "limps\nalone"}, {1: ("child", "red"), 2: ("lost", "red")})
    assert known(store) == before
    do(store, Merge(source=2, into=1))
    assert known(store) == ({1: "red cap\nlimps\nalone"}, {1: ("child", "lost", "red")})
    store.undo(user="ann", id="undo")
    assert known(store) == before


def test_an_empty_note_and_no_tags_remove_them_once(store):
    do(store, SetNote(identity=1, text="x"), SetTags(identity=1, tags=("y",)))
    do(store, SetNote(identity=1, text=""), SetTags(identity=1, tags=()))
    assert known(store) == ({}, {})
    with pytest.raises(Refused, match="identity 1 has no note to remove"):
        do(store, SetNote(identity=1, text=""))
    with pytest.raises(Refused, match="no identity 9"):
        do(store, SetTags(identity=9, tags=("y",)))


@pytest.mark.parametrize("text", ["\x00", " a", "a\x1b[0m", "x" * 4001])
def test_a_note_is_text_to_read(text):
    with pytest.raises(ValidationError):
        SetNote(identity=1, text=text)


@pytest.mark.parametrize("tags", [("b", "a"), ("a", "a"), ("a,b",), ("",), ("x" * 41,)])
def test_tags_are_short_words_in_order(tags):
    with pytest.raises(ValidationError):
        SetTags(identity=1, tags=tags)


def test_the_exported_log_has_them(store, tmp_path):
    do(store, SetNote(identity=1, text="red cap\nalone"), SetTags(identity=2, tags=("lost",)))
    do(store, Review(tracklet="f/2", decision=4, verdict="questioned", reason="too tall"))
    write_log(tmp_path / "log.jsonl", store.entries)
    replay(tmp_path / "log.jsonl", tmp_path / "again.sqlite")
    with LabelStore(tmp_path / "again.sqlite", create=False) as again:
        assert again.state == store.state


def test_they_are_erased_with_the_person_and_only_with_them(store, tmp_path):
    do(store, SetNote(identity=1, text="secret"), SetTags(identity=1, tags=("hidden",)))
    do(store, SetNote(identity=2, text="kept"), SetTags(identity=2, tags=("lost",)))
    do(store, Review(tracklet="f/0", decision=2, verdict="questioned", reason="secret reason"))
    do(store, Review(tracklet="f/1", decision=3, verdict="questioned", reason="too tall"))
    gone = {"f": frozenset(store.state.tracklets["f/0"])}
    entries = log_without(store, 1, contents_without(store, gone, {}))
    assert "secret" not in str(entries)
    assert "hidden" not in str(entries)
    with LabelStore(tmp_path / "without.sqlite") as without:
        without.take_log(entries)
        assert known(without) == ({2: "kept"}, {2: ("lost",)})
        (name,) = without.state.reviews
        _, review = without.state.reviews[name]
        assert (name, review.reason, review.decision) == ("f/1", "too tall", without.decision("f/1").sequence)


def test_a_review_is_of_the_decision_that_the_reviewer_saw(store):
    do(store, Assign(tracklets=("f/0",), identity=2), user="bob")
    with pytest.raises(Refused, match="operation 2 is not what gave it its label; that is operation 5"):
        do(store, Review(tracklet="f/0", decision=2, verdict="confirmed"))
    with pytest.raises(Refused, match="f/3 has no label"):
        do(store, Review(tracklet="f/3", decision=1, verdict="confirmed"))


def test_a_review_does_not_keep_the_labeller_from_undoing(store):
    do(store, Review(tracklet="f/2", decision=4, verdict="questioned"))
    store.undo(user="bob", id="undo")
    assert store.state.labels["f/2"] == "open"
    do(store, SetMark(tracklets=("f/2",), mark="junk"))
