import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotate.log.state import State
from annotate.operations import Seen
from annotate.suggestions.co_occurrence import CoOccurrence

frames = st.lists(st.integers(0, 30), min_size=1, unique=True).map(sorted)


def together(one, other, box):
    contents = {"f/0": tuple(Seen(frame, 0) for frame in one), "f/1": tuple(Seen(frame, 1) for frame in other)}
    state = State(tracklets={**contents, "g/0": contents["f/0"]})
    judge = CoOccurrence(box)
    assert judge.frame(state, "g/0", "f/1") is None  # another flight
    assert judge.frame(state, "f/1", "f/0") == judge.frame(state, "f/0", "f/1")
    return judge.frame(state, "f/0", "f/1")


@given(one=frames, other=frames)
def test_the_first_frame_that_both_are_in(one, other):
    beside = together(one, other, lambda flight, seen: (50.0 * seen.rank, 0, 50.0 * seen.rank + 20, 40))
    assert beside == min(set(one) & set(other), default=None)


@pytest.mark.parametrize(
    ("second", "apart"),
    [
        ((0, 0, 20, 40), False),  # the same box
        ((0, 0, 20, 20), False),  # without the legs
        ((14, 0, 34, 40), False),  # 30 % of it
        ((15, 0, 35, 40), True),  # 25 % of it: two who pass each other
        ((20, 0, 40, 40), True),  # side by side
    ],
)
def test_two_boxes_on_each_other_may_be_one_person(second, apart):
    frame = together([3], [3], lambda flight, seen: second if seen.rank else (0, 0, 20, 40))
    assert frame == (3 if apart else None)


def beside_in(frames, left):
    """The second box is at x = `left` in these frames, otherwise where the first is."""
    return lambda flight, seen: (left, 0, left + 20, 40) if seen.rank and seen.frame in frames else (0, 0, 20, 40)


@pytest.mark.parametrize(
    ("frames", "left", "apart"),
    [
        ([7], 22, None),  # beside each other for a moment: a second box of one person, that jumped
        ([7, 9], 22, None),  # in 2 of 5
        ([6, 7, 9], 22, 6),  # in 3 of 5
        ([7], 59, None),  # a gap of 39 px, at 40 px height
        ([7], 60, 7),  # nobody is in two places
    ],
)
def test_apart_in_most_frames_or_far_apart_in_one(frames, left, apart):
    assert together(range(10), range(5, 12), beside_in(frames, left)) == apart


def test_the_first_meeting_of_several_tracklets():
    state = State(tracklets={f"f/{n}": (Seen(5, n), Seen(6, n)) for n in range(3)})
    judge = CoOccurrence(lambda _, seen: (100.0 * (seen.rank // 2), 0, 100.0 * (seen.rank // 2) + 20, 40))
    assert judge.first(state, ["f/0", "f/1"], ["f/1", "f/2"]) == ("f/0", "f/2", 5)
    assert judge.first(state, ["f/0"], ["f/1"]) is None
