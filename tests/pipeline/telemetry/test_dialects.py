"""Subtitles of each family of drones, made at random, are read to the records that they were made from."""

import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import PipelineError
from pipeline.telemetry import find_telemetry
from pipeline.telemetry.source import with_lines
from pipeline.telemetry.srt import parse_cue, read_cues


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Matrice: a height with its unit follows latitude and longitude.
        ("2022.06.21 16:06:17\nGPS(47.61,8.11,0.0M) BAROMETER:4.1M\n", (4.1, 47.61, 8.11)),
        ("2022.06.21 16:06:17\nGPS(-33.9,151.2,12.0M) BAROMETER:4.1M\n", (4.1, -33.9, 151.2)),
        # A count of satellites follows longitude and latitude.
        ("HOME(8.2,47.0) 2017.8.5 14:11:51\nGPS(8.2,47.1,16) Hb:1.9 Hs:1.8\nISO:100", (1.9, 47.1, 8.2)),
        ("F/2.8, SS 30, ISO 260, EV -1.7, GPS (8.7, 47.1, 17), D 221ft, H 100.00ft, H.S n/a", (30.48, 47.1, 8.7)),
        # Letters.
        ("HOME(W: 83.1, N: 42.1) 2021-01-01 12:00:00\nGPS(W: 83.2, N: 42.2, 250.15)", (None, 42.2, -83.2)),
        ("GPS(33.5S, 151.2E, 250.15) BAROMETER:3.0", (3.0, -33.5, 151.2)),
    ],
)
def test_which_number_is_the_latitude(text, expected):
    found = parse_cue(text)
    assert (found.get("altitude_m"), found["latitude"], found["longitude"]) == pytest.approx(expected)


@pytest.mark.parametrize(
    "position",
    [
        "GPS(47.1,8.2)",  # no third number
        "GPS(47.1,8.2,30.5)",  # neither a count nor a height with its unit
        "HOME(8.2,47.0) GPS(8.2,47.1,30.5M)",  # the place of take-off of one family, the unit of the other
        "GPS(47,1,8,2,16)",  # decimal commas
        "GPS(N: 47.1, N: 8.2, 16)",
        "[latitude: 47,1] [longitude: 8,2]",
        "[latitude: 47.1] [lon: 8.2]",
        "[latitude: 47.1",  # cut off
    ],
)
def test_a_position_in_an_unknown_order_is_left_out(position):
    found = parse_cue(f"{position} BAROMETER:30.1")
    assert found == {"altitude_m": 30.1}


def test_an_unknown_order_and_heights_above_the_sea_are_counted():
    cue = "1\n00:00:00,000 --> 00:00:01,000\n{}\n\n"
    strange = read_cues((cue.format("GPS(47.1,8.2,30.5) BAROMETER:3.0") * 3).splitlines(keepends=True))
    assert strange.left == {"GPS (…) does not show which number is the latitude": 3}
    sea = read_cues(cue.format("[latitude: 47.1] [longitude: 8.2] [altitude: 512.0] ").splitlines(keepends=True))
    assert sea.samples == [{"latitude": 47.1, "longitude": 8.2}]
    assert list(sea.left.values()) == [1]
    alone = read_cues(cue.format("GPS(47.1,8.2,30.5)").splitlines(keepends=True))
    assert alone.first_problem == (2, "GPS (…) does not show which number is the latitude")


@pytest.mark.parametrize("sign", ["°", "\ufffd", "", "º"])
def test_the_gimbal_is_the_camera_and_the_aircraft_is_not(sign):
    aircraft = f"F.PRY (1.5{sign}, -4.0{sign}, 94.0{sign})"
    assert parse_cue(f"{aircraft}, G.PRY (-31.5{sign}, 0.0{sign}, 95.0{sign})") == {
        "pitch_deg": -31.5,
        "heading_deg": 95.0,
    }
    assert parse_cue(aircraft) is None


@dataclass(frozen=True)
class Moment:
    """What a recorder knows, to one decimal place."""

    altitude_m: float
    latitude: float
    longitude: float
    heading_deg: float
    pitch_deg: float

    def sample(self, *names):
        """These of its values; the position always."""
        return {name: getattr(self, name) for name in ("latitude", "longitude", *names)}


def named(one):
    return (
        f'<font size="28">FrameCnt: 1, DiffTime: 33ms\n2026-05-27 13:10:00.015\n[iso: 200] [ct: 5845] '
        f"[latitude: {one.latitude}] [longitude: {one.longitude}] [rel_alt: {one.altitude_m} abs_alt: 512.3] "
        f"[gb_yaw: {one.heading_deg} gb_pitch: {one.pitch_deg} gb_roll: 0.0] </font>"
    ), one.sample("altitude_m", "heading_deg", "pitch_deg")


def misspelt(one):
    return (
        f'<font size="36">FrameCnt : 1, DiffTime : 40ms\n2020-08-12 08:55:21,745,078\n[iso : 100] '
        f"[latitude : {one.latitude}] [longtitude : {one.longitude}] [altitude: 74.725998] </font>"
    ), one.sample()


def sides(one):
    east, north = ("EW"[one.longitude < 0], "NS"[one.latitude < 0])
    return (
        f"[latitude: {abs(one.latitude)} {north}] [longitude: {abs(one.longitude)}° {east}] "
        f"[rel_alt: {one.altitude_m} abs_alt: 512.0]"
    ), one.sample("altitude_m")


def satellites(one):
    return (
        f"HOME(8.0,47.0) 2017.07.03 10:15:03\nGPS({one.longitude},{one.latitude},19) BAROMETER:{one.altitude_m}\n"
        "ISO:100 Shutter:400 EV:-1/3 Fnum:F2.8 "
    ), one.sample("altitude_m")


def commas(one):
    return (
        f"F/5.6, SS 400, ISO 100, EV 0, GPS ({one.longitude}, {one.latitude}, 15), HOME (8.8, 47.2, -57.98m), "
        f"D 698.70m, H {one.altitude_m}m, H.S 0.00m/s, V.S 0.00m/s, F.PRY (2.7°, -7.0°, 110.1°), "
        f"G.PRY ({one.pitch_deg}°, 0.0°, {one.heading_deg}°)"
    ), one.sample("altitude_m", "heading_deg", "pitch_deg")


def height(one):
    return (
        f"2022.06.21 16:06:17\nGPS({one.latitude},{one.longitude},0.0M) BAROMETER:{one.altitude_m}M"
    ), one.sample("altitude_m")


def letters(one):
    east, north = ("EW"[one.longitude < 0], "NS"[one.latitude < 0])
    return (
        f"HOME(E: 8.0, N: 47.0) 2021-01-01 12:00:00\nGPS({east}: {abs(one.longitude)}, {north}: "
        f"{abs(one.latitude)}, 250.15)\nISO:100 SHUTTER:60\nG.PRY ({one.pitch_deg}°, 0.0°, {one.heading_deg}°)"
    ), one.sample("heading_deg", "pitch_deg")


def tenths(least, greatest):
    return st.integers(least * 10, greatest * 10).filter(bool).map(lambda value: value / 10)


MOMENTS = st.builds(
    Moment, tenths(-99, 500), tenths(-90, 90), tenths(-180, 180), tenths(-180, 180), tenths(-90, 30)
)


@given(
    write=st.sampled_from([named, misspelt, sides, satellites, commas, height, letters]),
    moments=st.lists(MOMENTS, min_size=1, max_size=6),
    bom=st.booleans(),
    blank=st.booleans(),
    numbered=st.booleans(),
    late=st.integers(0, 7200),
    end=st.sampled_from(["\n", "\r\n"]),
    encoding=st.sampled_from(["utf-8", "utf-16"]),
)
def test_a_file_in_any_dialect_is_read_to_its_records(
    tmp_path_factory, write, moments, bom, blank, numbered, late, end, encoding
):
    text, expected = "\ufeff" * (bom and encoding == "utf-8"), []
    for number, one in enumerate(moments):
        words, sample = write(one)
        clock = [
            f"{at // 3600:02}:{at // 60 % 60:02}:{at % 60:02},250" for at in (late + number, late + number + 1)
        ]
        text += f"{number + 1}\n" * numbered + f"{clock[0]} --> {clock[1]}\n{words}\n" + "\n" * blank
        expected.append(sample)
    path = tmp_path_factory.getbasetemp() / "any.SRT"
    path.write_bytes(text.replace("\n", end).encode(encoding))
    cues = with_lines(path, read_cues)
    assert cues.samples == expected
    assert cues.times == [late + number + 0.25 for number in range(len(moments))]
    assert cues.problems == 0


def test_subtitles_without_times_are_refused(tmp_path):
    words = tmp_path / "words.SRT"
    words.write_text("1\n2017.08.05 14:11:51,393,525\n[latitude : 47.2] [longtitude : 8.0] [iso : 100]\n\n")
    (tmp_path / "film").mkdir()
    with pytest.raises(PipelineError, match=r"words\.SRT: line 1: no subtitle; expected a time as 00:00:12,345"):
        _ = find_telemetry(words, tmp_path / "film").telemetry


def test_real_subtitles_have_latitude_before_longitude():
    if "UAVPIPE_SAMPLE_DATA" not in os.environ:
        pytest.skip("UAVPIPE_SAMPLE_DATA names no folder of sample data")
    files = sorted(Path(os.environ["UAVPIPE_SAMPLE_DATA"], "srt").iterdir())
    placed = 0
    for file in files:
        samples = read_cues(file.read_text("utf-8-sig").splitlines(keepends=True)).samples
        places = [(sample["latitude"], sample["longitude"]) for sample in samples if "latitude" in sample]
        assert all(int(latitude) == 47 and int(longitude) == 8 for latitude, longitude in places), file.name
        placed += bool(places)
    assert placed >= len(files) - 3


@pytest.mark.parametrize("latitude", ["4.71e1", "-5.7972448339365584e+148", "47,123", "47°6'0\""])
def test_a_named_position_that_cannot_be_read_is_counted(latitude):
    text = (
        f"1\n00:00:00,000 --> 00:00:00,040\n[latitude: {latitude}] [longitude: 8.4] [rel_alt: 30.2 abs_alt: 1.0]\n"
    )
    cues = read_cues(text.splitlines(keepends=True))
    assert cues.samples == [{"altitude_m": 30.2}]
    assert cues.left == {"latitude and longitude are no decimal numbers of degrees": 1}
