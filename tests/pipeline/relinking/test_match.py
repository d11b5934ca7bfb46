import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotate.operations import Mark
from pipeline.relinking.match import Known, Place, carry


def place(frame, person, shift=0.0, width=20.0):
    left = 100.0 * person + shift
    return Place(frame, (left, 10.0, left + width, 50.0))


def walk(person, first, last, shift=0.0):
    return [place(frame, person, shift) for frame in range(first, last)]


def labelled(*tracklets):
    """Each (label, places), or (label, places, the tracklet it was cut from)."""
    return [
        (each, Known(f"f/{number}", label, linked[0] if linked else number))
        for number, (label, places, *linked) in enumerate(tracklets)
        for each in places
    ]


def labels(pieces):
    return [piece.label for piece in pieces]


def test_the_same_tracklets_get_the_same_labels():
    old = labelled(
        (3, walk(0, 0, 9)), (Mark.JUNK, walk(1, 0, 9)), (Mark.OPEN, walk(2, 0, 9)), (Mark.SKIPPED, walk(3, 0, 9))
    )
    pieces = carry(old, {number: walk(number, 0, 9) for number in range(4)})
    assert labels(pieces) == [3, Mark.JUNK, Mark.OPEN, Mark.SKIPPED]
    assert not any(piece.reason for piece in pieces)


def test_boxes_of_another_detector_are_the_same_from_half_on():
    old = labelled((3, walk(0, 0, 9)))
    (near,) = carry(old, {0: walk(0, 0, 9, shift=5)})  # IoU 0.6
    (far,) = carry(old, {0: walk(0, 0, 9, shift=8)})  # IoU 0.43
    assert (near.label, far.label, far.reason) == (3, Mark.OPEN, "")


def test_what_was_cut_in_two_is_joined_and_the_other_way_round():
    halves = labelled((3, walk(0, 0, 5)), (3, walk(0, 5, 9)))
    assert labels(carry(halves, {0: walk(0, 0, 9)})) == [3]
    assert labels(carry(labelled((3, walk(0, 0, 9))), {0: walk(0, 0, 5), 1: walk(0, 5, 9)})) == [3, 3]


def test_two_identities_in_one_stay_without_a_label():
    old = labelled((3, walk(0, 0, 5)), (5, walk(0, 5, 9)))
    (piece,) = carry(old, {0: walk(0, 0, 9)})
    assert (piece.label, piece.reason) == (Mark.OPEN, "mixes identity 3, identity 5")
    (mostly,) = carry(labelled((3, walk(0, 0, 19)), (5, walk(0, 19, 20))), {0: walk(0, 0, 20)})
    assert mostly.label == 3


def test_few_labelled_detections_are_too_few():
    (piece,) = carry(labelled((3, walk(0, 0, 4))), {0: walk(0, 0, 9)})
    assert (piece.label, piece.reason) == (Mark.OPEN, "identity 3, but only 4 of its 9 detections")


def test_a_labellers_cut_is_made_again():
    old = labelled((3, walk(0, 0, 5), 0), (5, walk(0, 5, 9), 0))  # of tracklet 0, split at frame 5
    pieces = carry(old, {4: walk(0, 0, 9)})
    assert [(piece.number, piece.first, piece.last, piece.label) for piece in pieces] == [
        (4, 0, 4, 3),
        (4, 5, 8, 5),
    ]


def test_junk_that_is_divided_may_be_somebody():
    old = labelled((Mark.JUNK, [*walk(0, 0, 5), *walk(1, 5, 9)]))
    first, second = carry(old, {0: walk(0, 0, 5), 1: walk(1, 5, 9)})
    assert (first.label, second.label) == (Mark.OPEN, Mark.OPEN)
    assert first.reason == second.reason == "a part of what was junk: f/0"
    assert labels(carry(old, {0: walk(0, 0, 5)})) == [Mark.JUNK]


def test_a_detection_is_one_old_one_only():
    old = labelled((3, walk(0, 0, 9)), (5, walk(0, 0, 9, shift=4)))
    assert labels(carry(old, {0: walk(0, 0, 9, shift=1), 1: walk(0, 0, 9, shift=4)})) == [3, 5]


@st.composite
def linkings(draw):
    """Persons walk side by side; the old and the new tracklets each divide and mix their detections."""
    everything = [place(frame, person) for person in range(3) for frame in range(8)]

    def linked():
        owner = draw(st.lists(st.integers(0, 4), min_size=len(everything), max_size=len(everything)))
        found = {}
        for each, number in zip(everything, owner, strict=True):
            content = found.setdefault(number, {})
            content.setdefault(each.frame, each)  # a tracklet has one detection a frame
        return {number: [content[frame] for frame in sorted(content)] for number, content in found.items()}

    old, new = linked(), linked()
    every = st.sampled_from([1, 2, 3, *Mark])
    return [(draw(every), places) for _, places in sorted(old.items())], new


@given(linkings(), st.randoms(use_true_random=False))
def test_no_label_that_no_old_one_of_its_detections_had_in_any_order(linking, order: random.Random):
    tracklets, new = linking
    old = labelled(*tracklets)
    pieces = carry(old, new)
    shown = {place: known.label for place, known in old}
    for piece in pieces:
        content = [each for each in new[piece.number] if piece.first <= each.frame <= piece.last]
        assert piece.label is Mark.OPEN or piece.label in {shown.get(each) for each in content}
    shuffled, turned = list(old), list(new.items())
    order.shuffle(shuffled)
    order.shuffle(turned)
    assert carry(shuffled, dict(turned)) == pieces


@given(linkings())
def test_identical_tracklets_keep_identical_labels(linking):
    tracklets, _ = linking
    pieces = carry(labelled(*tracklets), {number: places for number, (_, places) in enumerate(tracklets)})
    assert labels(pieces) == [label for label, _ in tracklets]


@pytest.mark.parametrize(("old", "new"), [([], {0: walk(0, 0, 3)}), (labelled((3, walk(0, 0, 3))), {})])
def test_nothing_of_one_side(old, new):
    assert labels(carry(old, new)) == [Mark.OPEN] * len(new)
