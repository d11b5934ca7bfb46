"""Tables of telemetry in the columns and units of several programs, and tables whose times are not the video's."""

import re

import pytest

from pipeline.errors import PipelineError
from pipeline.telemetry import find_telemetry
from pipeline.telemetry.span import misfit
from pipeline.telemetry.table import TableError, read_rows

POSITION = {"latitude": 47.1, "longitude": 8.2}


def rows_of(text):
    return read_rows(text.splitlines(keepends=True))


@pytest.mark.parametrize(
    "text",
    [
        "time,altitude,latitude,longitude,heading,pitch\n1.5,30.48,47.1,8.2,90,-45\n",
        "\ufefftime;altitude;latitude;longitude;heading;pitch\n1.5;30.48;47.1;8.2;90;-45\n",
        "Time_ms,Altitude_ft,Lat,Lon,Heading_deg,Pitch_deg\n1500,100,47.1,8.2,90,-45\n",
        "time(millisecond),latitude,longitude,height_above_takeoff(feet),altitude(feet),heading(degrees),"
        "pitch(degrees),gimbal_heading(degrees),gimbal_pitch(degrees)\n1500,47.1,8.2,100,999,12,3,90,-45\n",
        "sep=,\nOSD.flyTime [s],OSD.latitude,OSD.longitude,OSD.height [ft],GIMBAL.pitch,GIMBAL.yaw,"
        "GIMBAL.yaw [360]\n1.5,47.1,8.2,100,-45,90,90\n",
        "time,pitch,gimbal_pitch,heading,gimbal_yaw,altitude,lat,lng\n1.5,3,-45,12,90,30.48,47.1,8.2\n",
    ],
)
def test_columns_and_units_of_several_programs(text):
    rows = rows_of(text)
    assert rows.times == pytest.approx([1.5])
    assert rows.samples[0] == pytest.approx({"altitude_m": 30.48, **POSITION, "heading_deg": 90, "pitch_deg": -45})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("latitude,longitude\n47.1,8.2\n", "line 1: expected the columns time and altitude, latitude"),
        ("time,altitude(yards)\n0,3\n", "line 1: expected the columns time and altitude, latitude"),
        ("time,altitude_m,altitude_ft\n0,3,10\n", "'altitude_m' and 'altitude_ft' both give altitude_m"),
        ("time;altitude\n0;3,5\n", "line 2: altitude is '3,5', expected a number"),
        ("sep=,\ntime,altitude\n0,3\n1,x\n", "line 4: altitude is 'x', expected a number"),
        ("time,latitude,longitude,isVideo\n0,47,8,maybe\n", "line 2: isVideo is 'maybe', expected 0 or 1"),
        ("time,latitude,longitude,isVideo\n0,47,8,0\n", "a log of a flight with 0 recordings"),
        ("time,altitude,isVideo\n0,1,1\n1,1,0\n2,1,1\n", "a log of a flight with 2 recordings"),
    ],
)
def test_other_tables_are_refused(text, message):
    with pytest.raises(TableError, match=re.escape(message)):
        rows_of(text)


def test_a_log_of_a_flight_begins_with_its_recording():
    rows = rows_of("time_ms,altitude,isVideo,satellites\n0,0,0,9\n5000,10,1,9\n5100,11,1,9\n9000,5,0,9\n")
    assert rows.times == pytest.approx([0, 0.1])
    assert [sample["altitude_m"] for sample in rows.samples] == [10, 11]
    assert rows.left_out == 2
    assert rows.unused == ("satellites",)


def test_no_position_yet_is_none():
    assert rows_of("time,altitude,latitude,longitude\n0,3,0,0\n1,3,47.1,\n").samples == [{"altitude_m": 3}] * 2


@pytest.mark.parametrize(
    ("times", "usable", "words"),
    [
        ([0, 1000, 2000, 3000], False, "a column of milliseconds is named time_ms"),
        ([1704103200, 1704103201], False, "not since 1970"),
        ([904, 905, 906, 907], False, "its times are 904 s to 907 s, the video's 0 s to 4 s"),
        (list(range(60)), True, "54 of 60 samples lie outside the video"),
        ([0, 0.001, 0.002], True, "1.5 s of the video have telemetry"),
    ],
)
def test_times_that_are_not_the_videos(times, usable, words):
    said, can_be_used = misfit(times, 0.0, 4.0)
    assert words in said
    assert can_be_used is usable


def test_times_that_are_the_videos():
    assert misfit([0, 1, 2, 3], 0.0, 4.0) is None
    assert misfit([101.5, 102.5], 100.0, 104.0) is None
    assert misfit([], 0.0, 4.0) is None


@pytest.mark.parametrize("unit", [1000, 1])
@pytest.mark.parametrize("ending", ["csv", "SRT"])
def test_a_telemetry_of_another_clock_is_not_used(tmp_path, caplog, unit, ending):
    film = tmp_path / "film"
    film.mkdir()
    for number in range(4):
        (film / f"{number}.jpg").touch()
    beside = tmp_path / f"film.{ending}"
    if ending == "csv":
        beside.write_text("time,altitude\n" + "".join(f"{second * unit},30\n" for second in range(4)))
    else:
        late = 15 * (unit > 1)
        clock = [f"00:{late:02}:0{second},000 --> 00:{late:02}:0{second + 1},000" for second in range(4)]
        beside.write_text("".join(f"1\n{each}\nGPS(8.2,47.1,19) BAROMETER:30.0\n\n" for each in clock))
    altitude = find_telemetry("auto", film, image_fps=1).telemetry.at(0.0)["altitude_m"]
    if unit == 1:
        assert altitude == 30
        assert not caplog.messages
        return
    assert altitude is None
    assert caplog.messages[0].endswith("not used as telemetry")
    with pytest.raises(
        PipelineError, match=rf"film\.{ending}: its times are .* expected seconds from the beginning"
    ):
        _ = find_telemetry(beside, film, image_fps=1).telemetry


@pytest.mark.parametrize("ending", ["SRT", "srt", "Srt", "CSV", "csv"])
def test_a_file_beside_the_video_is_found_however_its_ending_is_written(tmp_path, ending):
    (tmp_path / f"film.{ending}").touch()
    (tmp_path / "film2.SRT").touch()
    (tmp_path / "._film.SRT").touch()
    assert find_telemetry("auto", tmp_path / "film.mp4").file == tmp_path / f"film.{ending}"
    (tmp_path / "film.CSV").touch()
    (tmp_path / "film.SRT").touch()
    assert find_telemetry("auto", tmp_path / "film.mp4").file == tmp_path / "film.SRT"
