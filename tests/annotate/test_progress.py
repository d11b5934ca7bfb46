from datetime import UTC, datetime, timedelta

import pytest

from annotate.log.store import LabelStore
from annotate.operations import AnswerBatch, NewIdentity, SecondLook, SetMark
from annotate.progress import Tally, progress
from annotate.records import Detection, Tracklet


@pytest.fixture
def clock():
    return [datetime(2026, 1, 1, tzinfo=UTC)]


@pytest.fixture
def store(tmp_path, clock):
    tracklets = [
        Tracklet(
            "f", number, tuple(Detection(frame, number, 0.0, (0, 0, 9, 9), 0.9) for frame in range(10 - number))
        )
        for number in range(6)
    ]
    with LabelStore(tmp_path / "labels.sqlite", now=lambda: clock[0]) as store:
        store.add_flight("f", tracklets)
        yield store


def visible(tracklet):
    return True


def test_what_has_no_crop_does_not_count(store):
    now = progress(store.state, Tally(), "ann", lambda name: name != "f/0")
    assert (now.tracklets, now.detections) == (5, 9 + 8 + 7 + 6 + 5)


def test_what_is_done_and_what_is_left(store, clock):
    for turn, seconds in enumerate((0, 4, 6, 1000)):  # the last one after a pause
        clock[0] += timedelta(seconds=seconds)
        operation = (
            SetMark(tracklets=("f/3",), mark="skipped") if turn == 3 else NewIdentity(tracklets=(f"f/{turn}",))
        )
        store.apply(operation, user="ann", id=str(turn))
    tally = Tally()
    tally.follow(store)
    now = progress(store.state, tally, "ann", visible)
    assert (now.tracklets, now.labelled, now.identities) == (6, 3, 3)
    assert (now.detections, now.labelled_detections) == (10 + 9 + 8 + 7 + 6 + 5, 10 + 9 + 8)
    assert now.per_minute == pytest.approx(60 / 5)  # 4 and 6 seconds; the pause does not count
    assert now.minutes_left == pytest.approx(3 * 5 / 60)
    assert progress(store.state, tally, "bob", visible).per_minute is None


def test_a_batch_is_one_decision_and_names_who_is_in_it(store):
    store.apply(AnswerBatch(answers=(("f/0", "junk"), ("f/1", "junk"))), user="ann", id="a")
    tally = Tally()
    tally.follow(store)
    assert (tally.labelled["ann"], tally.named) == (1, 0)
    store.apply(
        AnswerBatch(answers=(("f/2", "new"), ("f/3", "junk")), taken_out=(("f/4", "new"),)), user="ann", id="b"
    )
    tally.follow(store)
    assert (tally.labelled["ann"], tally.named) == (2, 3)


def test_agreement_of_second_looks(store):
    store.apply(NewIdentity(tracklets=("f/0", "f/1", "f/2")), user="ann", id="a")
    store.apply(SetMark(tracklets=("f/3",), mark="junk"), user="ann", id="b")
    for tracklet, answer in (("f/0", 1), ("f/1", "new"), ("f/3", "junk"), ("f/2", "skipped")):
        store.apply(SecondLook(tracklet=tracklet, answer=answer), user="bob", id=tracklet.replace("/", "-"))
    now = progress(store.state, Tally(), "bob", visible)
    assert (now.second_looks, now.agreed) == (3, 2)
    store.undo(user="bob", id="z1")  # the skipped one
    store.undo(user="bob", id="z2")
    now = progress(store.state, Tally(), "bob", visible)
    assert (now.second_looks, now.agreed) == (2, 1)


def test_the_log_is_counted_once(store):
    tally = Tally()
    for turn in range(3):
        store.apply(NewIdentity(tracklets=(f"f/{turn}",)), user="ann", id=str(turn))
        tally.follow(store)
        tally.follow(store)
    assert tally.labelled["ann"] == 3
