import pytest

from annotate.log.store import LabelStore
from annotate.operations import Assign, NewIdentity, Review, SecondLook, SetMark
from annotate.records import Detection, Tracklet
from annotate.review import agreement, disagreements, to_review


@pytest.fixture
def store(tmp_path):
    """bob: f/0 to f/2 are person 1, f/3 is junk; eve: f/4 is person 2; f/5 is open."""
    tracklets = [Tracklet("f", number, (Detection(0, number, 0.0, (0, 0, 9, 9), 0.9),)) for number in range(6)]
    with LabelStore(tmp_path / "labels.sqlite") as store:
        store.add_flight("f", tracklets)
        store.apply(NewIdentity(tracklets=("f/0", "f/1", "f/2")), user="bob", id="b1")
        store.apply(SetMark(tracklets=("f/3",), mark="junk"), user="bob", id="b2")
        store.apply(NewIdentity(tracklets=("f/4",)), user="eve", id="e1")
        yield store


def waiting(store, user):
    return set(to_review(store, store.state, user, lambda name: name != "f/1"))


def review(store, tracklet, verdict, reason=""):
    decided = store.decision(tracklet).sequence
    operation = Review(tracklet=tracklet, decision=decided, verdict=verdict, reason=reason)
    store.apply(operation, user="ann", id=f"r{len(store.entries)}")


def test_what_others_decided_and_nobody_reviewed_since(store):
    assert waiting(store, "ann") == {"f/0", "f/2", "f/3", "f/4"}  # f/1 is not wanted
    assert waiting(store, "bob") == {"f/4"}
    review(store, "f/0", "confirmed")
    assert waiting(store, "ann") == {"f/2", "f/3", "f/4"}
    store.apply(Assign(tracklets=("f/0",), identity=2), user="eve", id="e2")
    assert waiting(store, "ann") == {"f/0", "f/2", "f/3", "f/4"}  # decided anew


def test_the_agreement_with_each_labeller_over_labels_as_they_are(store):
    review(store, "f/0", "confirmed")
    review(store, "f/3", "questioned", "a child")
    review(store, "f/4", "confirmed")
    store.apply(SecondLook(tracklet="f/1", answer=1), user="ann", id="s1")
    store.apply(SecondLook(tracklet="f/2", answer="new"), user="ann", id="s2")
    bob, eve = agreement(store, store.state)
    assert (bob.labeller, bob.labels, bob.confirmed, bob.questioned) == ("bob", 4, 1, 1)
    assert (bob.alike, bob.otherwise) == (1, 1)
    assert (eve.labeller, eve.labels, eve.confirmed, eve.questioned) == ("eve", 1, 1, 0)
    second, questioned = disagreements(store, store.state)
    assert (second.tracklet, second.label, second.kind, second.answer) == ("f/2", "1", "second look", "new")
    assert (questioned.tracklet, questioned.label, questioned.reason) == ("f/3", "junk", "a child")
    assert (questioned.labeller, questioned.reviewer) == ("bob", "ann")
    store.apply(SetMark(tracklets=("f/3",), mark="open"), user="bob", id="b3")  # corrected
    assert [each.tracklet for each in disagreements(store, store.state)] == ["f/2"]
