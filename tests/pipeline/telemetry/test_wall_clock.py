"""The wall clock of a video: from subtitles, from its name, from the container; and what is no time."""

from datetime import UTC, datetime, timedelta, timezone

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import PipelineError
from pipeline.telemetry.wall_clock import WallClock, find_wall_clock, flight_clock, in_utc, remember_clock, zone_of
from pipeline.workspace.manifest import write_record

CUE = "1\n00:00:02,000 --> 00:00:03,000\n{}\n[rel_alt: 3.0 abs_alt: 5.0]\n"
# The texts of cues of real recorders, and when their videos begin, two seconds before.
CUES = {
    "2024-09-17 14:30:00.250": datetime(2024, 9, 17, 14, 29, 58, 250_000),
    "2022-08-07 13:40:40,774,808": datetime(2022, 8, 7, 13, 40, 38, 774_000),
    "HOME(8.2,47.0) 2017.08.05 14:11:51": datetime(2017, 8, 5, 14, 11, 49),
    "HOME(8.0251,47.2532) 2017.8.5 14:11:51": datetime(2017, 8, 5, 14, 11, 49),
    "2024-01-01 00:00:01": datetime(2023, 12, 31, 23, 59, 59),
    "2024-06-31 14:30:00": None,
    "GPS(47.1,8.2,20.12) 12:00:00": None,
}
NAMES = {
    "DJI_20240917143000_0001_D.MP4": datetime(2024, 9, 17, 14, 30),
    "VID_20240917_143000.mp4": datetime(2024, 9, 17, 14, 30),
    "DJI_20241317143000_0001.MP4": None,  # a thirteenth month
    "PXL_20240917_123000123.mp4": None,  # milliseconds, in UTC
    "flight01.mp4": None,
}
CONTAINERS = {
    ("2024-09-17T14:30:00.000000Z", ""): (datetime(2024, 9, 17, 14, 30), "UTC"),
    ("2024-09-17T14:30:00+02:00", ""): (datetime(2024, 9, 17, 12, 30), "UTC"),
    ("2024-09-17T14:30:00Z", "DJI Mavic 3"): (datetime(2024, 9, 17, 14, 30), "unknown"),
    ("1970-01-01T00:00:00Z", ""): None,  # a clock that was never set
}


@pytest.mark.parametrize(("text", "begin"), CUES.items())
def test_subtitles_say_when_a_video_begins(tmp_path, text, begin):
    (tmp_path / "a.SRT").write_text(CUE.format(text))
    found = find_wall_clock(tmp_path / "a.mp4")  # the video itself may be gone
    assert (found and (found.begin, found.source, found.zone)) == (begin and (begin, "subtitles", "unknown"))


@pytest.mark.parametrize(("name", "begin"), NAMES.items())
def test_names_of_recorders_say_it(tmp_path, name, begin):
    found = find_wall_clock(tmp_path / name)
    assert (found and (found.begin, found.source, found.zone)) == (begin and (begin, "file name", "unknown"))


@pytest.mark.parametrize(("said", "expected"), CONTAINERS.items())
def test_a_container_says_it_in_utc_unless_its_maker_writes_local_time(tmp_path, said, expected):
    path = write_video(tmp_path / "a.mp4", *said)
    found = find_wall_clock(path)
    assert (found and (found.begin, found.zone)) == expected
    (tmp_path / "a.srt").write_text(CUE.format("2024-09-17 14:30:00"))
    assert find_wall_clock(path).source == "subtitles"


def test_a_time_stamp_that_is_none_has_no_date():
    clock = WallClock(datetime(2024, 1, 1), "container", "UTC")
    assert clock.at(1.5) == datetime(2024, 1, 1, 0, 0, 1, 500_000)
    assert [clock.at(seconds) for seconds in (float("nan"), 1e12, 1e300)] == [None] * 3


def test_what_is_no_video_has_no_clock(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"no video")
    assert find_wall_clock(tmp_path / "a.mp4") is None
    assert find_wall_clock(tmp_path) is None


def write_video(path, created, comment):
    with av.open(path, "w") as container:
        container.metadata.update({"creation_time": created, "comment": comment})
        stream = container.add_stream("mpeg4", 10)
        stream.width = stream.height = 16
        frame = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), "rgb24")
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


# Local begin, seconds, local time after them, and in UTC: at the two changes of the clocks, and over midnight.
CHANGES = {
    "spring": (datetime(2024, 3, 31, 1, 59, 50), 20, datetime(2024, 3, 31, 3, 0, 10), "01:00:10"),
    "autumn": (datetime(2024, 10, 27, 2, 59, 50), 20, datetime(2024, 10, 27, 2, 0, 10), "01:00:10"),
    "midnight": (datetime(2024, 9, 17, 23, 59, 50), 20, datetime(2024, 9, 18, 0, 0, 10), "22:00:10"),
}


@pytest.mark.parametrize(("begin", "seconds", "after", "utc"), CHANGES.values(), ids=CHANGES)
def test_times_survive_changes_of_the_clocks_and_midnight(begin, seconds, after, utc):
    clock = WallClock(begin, "subtitles", "unknown")
    assert clock.at(seconds) == begin + timedelta(seconds=seconds)  # nobody knows where this was
    clock = clock.in_zone("Europe/Berlin")
    assert clock.at(seconds) == after
    assert f"{in_utc(clock.at(seconds), clock.zone):%H:%M:%S}" == utc
    there = clock.in_zone("America/New_York").in_zone("UTC")
    assert f"{there.at(seconds):%H:%M:%S}" == utc


ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "UTC", "+05:30")


@given(
    begin=st.datetimes(datetime(2000, 1, 1), datetime(2037, 1, 1)),
    zone=st.sampled_from(ZONES),
    seconds=st.lists(st.integers(0, 100_000), min_size=2, max_size=5, unique=True).map(sorted),
)
def test_in_any_zone_time_passes_as_in_the_video(begin, zone, seconds):
    """Also over midnight, and where clocks are changed by an hour, half an hour, or for a month."""
    clock = WallClock(begin, "subtitles", "unknown").in_zone(zone)
    for each in seconds:
        there = clock.at(each)
        passed = (in_utc(begin, zone) + timedelta(seconds=each)).astimezone(UTC)
        assert there == passed.astimezone(zone_of(zone)).replace(tzinfo=None)  # as the clocks there show it
        assert WallClock(passed.replace(tzinfo=None), "container", "UTC").in_zone(zone).at(0) == there


def test_a_zone_that_is_none_is_refused():
    clock = WallClock(datetime(2024, 1, 1), "subtitles", "unknown")
    for name in ("Europe/Atlantis", "../../etc/passwd", "", "Europe"):
        with pytest.raises(PipelineError, match="there is no time zone"):
            clock.in_zone(name).at(0)


def test_the_configuration_sets_and_shifts_the_clock(tmp_path):
    write_record(tmp_path / "flight.json", {"video": "/gone/DJI_20240917143000_0001.mp4", "sha256": "0"})
    remember_clock(tmp_path, None, None)
    assert not (tmp_path / "clock.json").exists()
    named = flight_clock(tmp_path)
    assert (named.begin, named.source) == (datetime(2024, 9, 17, 14, 30), "file name")
    remember_clock(tmp_path, None, -3.5)
    assert flight_clock(tmp_path).begin == datetime(2024, 9, 17, 14, 29, 56, 500_000)
    remember_clock(tmp_path, datetime(2024, 9, 17, 15, tzinfo=timezone(timedelta(hours=2))), None)
    given = flight_clock(tmp_path)
    assert (given.begin, given.source, given.zone) == (
        datetime(2024, 9, 17, 14, 59, 56, 500_000),
        "configuration",
        "+02:00",
    )
    remember_clock(tmp_path, datetime(2024, 9, 17, 13, tzinfo=UTC), 0.0)
    assert in_utc(flight_clock(tmp_path).at(0), flight_clock(tmp_path).zone) == datetime(
        2024, 9, 17, 13, tzinfo=UTC
    )
    remember_clock(tmp_path, None, None)  # a run without the settings leaves them
    assert flight_clock(tmp_path).source == "configuration"
    remember_clock(tmp_path, "auto", None)
    assert flight_clock(tmp_path) == named
    (tmp_path / "clock.json").write_text('{"start": "noon"}')
    with pytest.raises(PipelineError, match=r"clock\.json: damaged"):
        flight_clock(tmp_path)
