import pytest

from annotate.log.store import LabelStore
from annotate.operations import Assign, NewIdentity, SecondLook, SetMark
from annotate.progress import Tally
from annotate.queue import next_turn, waiting
from annotate.records import Detection, Tracklet

COUNT = 60


@pytest.fixture
def store(tmp_path):
    """Tracklet n has n + 1 detections."""
    tracklets = [
        Tracklet(
            "f", number, tuple(Detection(frame, number, 0.0, (0, 0, 9, 9), 0.9) for frame in range(number + 1))
        )
        for number in range(COUNT)
    ]
    with LabelStore(tmp_path / "labels.sqlite") as store:
        store.add_flight("f", tracklets)
        yield store


def turn(store, user="ann", hidden=(), again=0):
    tally = Tally()
    tally.follow(store)
    return next_turn(store, store.state, tally, user, user, lambda name: name not in hidden, again)


def test_the_longest_first_and_skipped_ones_at_the_end(store):
    store.apply(SetMark(tracklets=(f"f/{COUNT - 1}",), mark="skipped"), user="ann", id="a")
    order = waiting(store, store.state, until=2)
    assert order == [f"f/{number}" for number in range(COUNT - 2, -1, -1)] + [f"f/{COUNT - 1}"]
    assert turn(store).tracklet == order[0]


def test_what_has_no_crop_is_not_asked_about(store):
    order = waiting(store, store.state, until=0)
    assert turn(store, hidden=order[:3]).tracklet == order[3]
    assert turn(store, hidden=order) is None


def test_what_was_skipped_comes_again_once_somebody_was_named_or_if_it_is_asked_for(store):
    first, second, third, *others = waiting(store, store.state, until=0)
    store.apply(SetMark(tracklets=tuple(others), mark="junk"), user="ann", id="a")
    for name in (second, first):
        store.apply(SetMark(tracklets=(name,), mark="skipped"), user="ann", id=name.replace("/", "-"))
    assert turn(store).tracklet == third
    store.apply(SetMark(tracklets=(third,), mark="skipped"), user="ann", id="third")
    assert turn(store) is None
    assert turn(store, again=len(store.entries)).tracklet == second  # it waits longest
    assert turn(store, again=len(store.entries) - 3) is None
    store.apply(NewIdentity(tracklets=(second,)), user="bob", id="b")
    assert turn(store).tracklet == first


def test_what_was_skipped_is_reserved_for_no_window(store):
    first = turn(store, "ann 1").tracklet
    store.apply(SetMark(tracklets=(first,), mark="skipped"), user="ann", id="a")
    assert first not in store.leases.held()


def test_two_labellers_are_given_different_tracklets_and_keep_them(store):
    first, second = turn(store, "ann"), turn(store, "bob")
    assert first.tracklet != second.tracklet
    assert turn(store, "ann") == first
    assert turn(store, "bob") == second


def test_nothing_is_left_when_all_are_labelled_or_in_others_hands(store):
    store.apply(SetMark(tracklets=tuple(waiting(store, store.state, 0)[1:]), mark="junk"), user="ann", id="a")
    assert turn(store, "ann") is not None
    assert turn(store, "bob") is None


def test_one_decision_in_twenty_is_looked_at_again(store):
    looks = []
    for number in range(40):
        now = turn(store, "ann")
        while now.second_look:
            looks.append((number, now.tracklet))
            assert now.tracklet in store.state.labels
            store.apply(SecondLook(tracklet=now.tracklet, answer=1), user="ann", id=f"look{len(looks)}")
            now = turn(store, "ann")
        these = (now.tracklet,)
        operation = Assign(tracklets=these, identity=1) if number else NewIdentity(tracklets=these)
        store.apply(operation, user="ann", id=f"n{number}")
    assert [number for number, _ in looks] == [20]
    assert turn(store, "ann").second_look
    assert not turn(store, "bob").second_look  # who decided nothing yet


def test_what_somebody_else_labelled_is_looked_at_first(store):
    store.apply(NewIdentity(tracklets=("f/0", "f/1")), user="bob", id="b")
    store.apply(NewIdentity(tracklets=tuple(f"f/{number}" for number in range(2, 30))), user="ann", id="a")
    for number in range(30, 50):
        store.apply(SetMark(tracklets=(f"f/{number}",), mark="junk"), user="ann", id=f"n{number}")
    now = turn(store, "ann")
    assert now.second_look
    assert now.tracklet in ("f/0", "f/1")


def test_what_is_surely_a_person_comes_first_and_what_hardly_is_last(store):
    surely, hardly = ("f/3", "f/1"), ("f/59", "f/2")
    like = {**dict.fromkeys(surely, 0.95), **dict.fromkeys(hardly, 0.4)}
    order = waiting(store, store.state, 0, lambda name: like.get(name, 0.7))
    assert order[:3] == [*surely, "f/58"]
    assert order[-3:] == ["f/0", *hardly]
