import pytest

from annotate.errors import AnnotateError, Refused
from annotate.log.store import LabelStore, contents_of
from annotate.operations import Accept, AnswerBatch, Mark, NewIdentity, Relink, SecondLook, Seen, Split
from annotate.records import Detection, Tracklet


def tracklet(number, first, last, rank=0):
    box = (0.0, 0.0, 10.0, 20.0)
    found = tuple(Detection(frame, rank, frame / 10, box, 0.9) for frame in range(first, last))
    return Tracklet("f", number, found)


@pytest.fixture
def store(tmp_path):
    with LabelStore(tmp_path / "labels.sqlite") as store:
        store.add_flight("f", [tracklet(0, 0, 9), tracklet(1, 0, 9, rank=1)])
        store.apply(NewIdentity(tracklets=("f/0",)), user="ann", id="1")
        store.apply(SecondLook(tracklet="f/0", answer=1), user="bob", id="2")
        store.apply(Accept(finding="together f/0 f/1"), user="ann", id="3")
        store.apply(Split(tracklet="f/1", frame=4), user="ann", id="4")  # f/2
        store.apply(AnswerBatch(taken_out=(("f/0", "new"),)), user="eve", id="0")
        yield store


def relink(store, tracklets):
    with store.together(user="uavpipe", id="relink") as decide:
        decide(Relink(flight="f", tracklets=contents_of(tracklets)))


def test_new_tracklets_are_open_and_take_the_place_of_all(store):
    new = [tracklet(0, 0, 4), tracklet(5, 4, 9)]
    relink(store, new)
    state = store.state
    assert state.labels == {"f/0": Mark.OPEN, "f/5": Mark.OPEN}
    assert state.tracklets["f/5"] == tuple(Seen(frame, 0) for frame in range(4, 9))
    assert (state.second_looks, state.taken_out, state.accepted, state.members) == ({}, {}, {}, {})
    assert state.exists == {1: True}  # an identity stays, with its number
    store.add_flight("f", new)  # they are known now
    with pytest.raises(AnnotateError, match="not those that were labelled"):
        store.add_flight("f", [tracklet(0, 0, 9), tracklet(1, 0, 9, rank=1)])
    assert store.apply(Split(tracklet="f/5", frame=6), user="ann", id="5").created == "f/6"


def test_it_is_read_again_as_it_was_written(store):
    relink(store, [tracklet(3, 0, 4)])
    with LabelStore(store.path) as again:
        assert (again.state, again.chain) == (store.state, store.chain)


def test_decisions_of_before_are_not_undone_and_nothing_is_redone(store):
    store.undo(user="ann", id="5")
    relink(store, [tracklet(0, 0, 4)])
    with pytest.raises(Refused, match=r"builds on it .*that has to be undone first"):
        store.undo(user="ann", id="6")
    with pytest.raises(Refused, match="ann has nothing to redo"):
        store.redo(user="ann", id="7")
    with pytest.raises(Refused, match="uavpipe has nothing to undo"):
        store.undo(user="uavpipe", id="8")
    with pytest.raises(Refused, match="was changed meanwhile by operation"):
        store.apply(NewIdentity(tracklets=("f/0",)), user="ann", id="9", seen=3)


def test_a_flight_that_is_not_known(store):
    with pytest.raises(Refused, match="there is no flight g"), store.together(user="uavpipe", id="r") as decide:
        decide(Relink(flight="g", tracklets={}))
