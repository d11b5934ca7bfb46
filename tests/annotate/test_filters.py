from datetime import datetime, timedelta

import pytest
from pydantic import ValidationError

from annotate.filters import Filter, named, tags_of
from annotate.log.state import State

STATE = State(
    labels={"f1/0": 1, "f1/1": "open", "f2/0": 2},
    identities={1: "Ann", 2: ""},
    members={1: {"f1/0"}, 2: {"f2/0"}},
    tags={1: ("child", "red"), 2: ("red",)},
    notes={2: "Limps"},
)
LATE = datetime(2030, 1, 1, 23, 59, 50)


def unknown(flight, seconds):
    return None


def by_clock(flight, seconds):
    return LATE + timedelta(seconds=seconds)


def wanted(moment=unknown, times=(10.0, 20.0), **given):
    return Filter(**given).wants(STATE, "f1/0", times, moment)


def test_by_flight():
    assert wanted(flight="f1")
    assert not wanted(flight="f2")


@pytest.mark.parametrize(
    ("begin", "end", "within"),
    [
        ("00:00:20", "", True),
        ("00:00:21", "", False),
        ("", "00:00:10", True),
        ("", "00:00:09", False),
        ("00:00:12", "00:00:13", True),
        ("00:01", "00:00:10", True),  # over midnight
    ],
)
def test_by_time_in_the_video_where_no_clock_is_known(begin, end, within):
    assert wanted(begin=begin, end=end) is within


@pytest.mark.parametrize(
    ("begin", "end", "within"),
    [("23:59:55", "23:59:59", False), ("00:00:05", "00:00:06", True), ("23:00", "00:00:00", True)],
)
def test_by_the_wall_clock_where_it_is_known(begin, end, within):
    assert wanted(by_clock, begin=begin, end=end) is within  # from 00:00:00 to 00:00:10


def test_a_tracklet_over_midnight_is_in_both_days():
    assert wanted(by_clock, (5.0, 15.0), begin="23:59:50", end="23:59:56")
    assert wanted(by_clock, (5.0, 15.0), begin="00:00:01", end="00:00:03")
    assert not wanted(by_clock, (5.0, 15.0), begin="00:00:06", end="00:00:30")


@pytest.mark.parametrize("text", ["24:00", "1:00", "10:60", "x", "10:00:00.5"])
def test_what_is_no_time_of_day_is_refused(text):
    with pytest.raises(ValidationError):
        Filter(begin=text)


def test_people_by_number_name_tag_and_note():
    assert named(STATE, [1, 2], "ann", "") == [1]
    assert named(STATE, [1, 2], "2", "") == [2]
    assert named(STATE, [1, 2], "RED", "") == [1, 2]
    assert named(STATE, [1, 2], "limps", "") == [2]
    assert named(STATE, [1, 2], "", "child") == [1]
    assert tags_of(STATE) == {"child": 1, "red": 2}
