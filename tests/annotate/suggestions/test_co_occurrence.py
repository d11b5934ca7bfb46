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


def test_one_frame_apart_is_enough():
    def box(flight, seen):
        return (0, 0, 20, 40) if seen.frame != 7 or seen.rank == 0 else (100, 0, 120, 40)

    assert together(range(10), range(5, 12), box) == 7
