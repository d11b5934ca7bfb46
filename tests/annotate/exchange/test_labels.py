from dataclasses import replace

import pytest

from annotate.exchange.labels import label_from, labelled_clip
from annotate.exchange.records import Clip, TrackBox
from annotate.log.store import LabelStore
from annotate.operations import Mark, NewIdentity, SetMark
from annotate.records import Detection, Tracklet


def walk(number, frames, left):
    return Tracklet(
        "f", number, tuple(Detection(each, number, each / 10, (left, 0, left + 10, 20), 0.9) for each in frames)
    )


TRACKLETS = (walk(0, range(6), 0), walk(1, range(6), 100), walk(2, range(6), 200))


@pytest.fixture
def store(tmp_path):
    with LabelStore(tmp_path / "labels.sqlite") as store:
        store.add_flight("f", TRACKLETS)
        yield store


def clip(*rows):
    """From (track, frames, left)."""
    return Clip(
        "f",
        tuple(TrackBox(frame, track, (left, 1, left + 10, 21)) for track, frames, left in rows for frame in frames),
    )


def label(store, clip, **more):
    return label_from(store, {"f": clip}, {"f": TRACKLETS}, user="ann", id=f"import-{len(store.entries)}", **more)


def test_detections_are_whose_box_they_overlap(store):
    # 30 is on tracklet 0 and, from frame 3 on, on 1, whose beginning is 31's; nobody is on 2.
    assert label(store, clip((30, range(6), 0), (31, range(2), 100), (30, range(3, 6), 101))) == 3
    labelled = store.state.labelled()
    assert [labelled["f", frame, 0] for frame in range(6)] == [1] * 6
    assert [labelled["f", frame, 1] for frame in range(6)] == [2, 2, 2, 1, 1, 1]
    assert store.state.labels["f/2"] is Mark.OPEN


def test_two_boxes_on_one_detection_the_nearer_has_it(store):
    label(store, clip((7, range(6), 4), (8, range(6), 1)))
    assert store.state.members == {1: {"f/0"}}
    assert store.state.labels["f/0"] == 1


def test_a_tracklet_mostly_on_nobody_stays_open(store):
    assert label(store, clip((7, range(2), 0))) == 0
    assert store.state.labels["f/0"] is Mark.OPEN


def test_new_identities_leave_labels_alone_and_same_ones_correct_them(store):
    store.apply(NewIdentity(tracklets=("f/0",), name="Anna"), user="ann", id="a")
    store.apply(NewIdentity(name="Berta"), user="ann", id="b")
    store.apply(SetMark(tracklets=("f/1",), mark=Mark.JUNK), user="ann", id="c")
    found = clip((2, range(6), 0), (2, range(6), 100), (2, range(6), 200))
    assert label(store, found) == 1
    assert store.state.labels == {"f/0": 1, "f/1": Mark.JUNK, "f/2": 3}
    assert label(store, found, same_identities=True) == 3
    assert store.state.labels == {"f/0": 2, "f/1": 2, "f/2": 2}


def test_exported_labels_come_back(store, tmp_path):
    label(store, clip((30, range(6), 0), (31, range(2), 100), (30, range(3, 6), 101)))
    out = labelled_clip(store.state, "f", TRACKLETS, 6)
    assert label(store, out, same_identities=True) == 0
    with LabelStore(tmp_path / "again.sqlite") as again:
        again.add_flight("f", TRACKLETS)
        label(again, out)
        assert again.state.labelled() == store.state.labelled()


def test_a_refused_import_decides_nothing(store):
    before = len(store.entries)
    label(store, clip((1, range(6), 0)))
    with pytest.raises(Exception, match="was used before"):
        label_from(store, {"f": clip((1, range(6), 100))}, {"f": TRACKLETS}, user="ann", id=f"import-{before}")
    assert store.state.labels["f/1"] is Mark.OPEN


def test_boxes_without_a_track_say_nothing(store):
    nobody = replace(
        clip((1, range(6), 0)), boxes=tuple(replace(box, track=-1) for box in clip((1, range(6), 0)).boxes)
    )
    assert label(store, nobody) == 0
