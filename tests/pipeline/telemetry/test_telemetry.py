from fractions import Fraction
from itertools import combinations

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotate.records import Detection
from annotate.suggestions.ground import Ground
from detector.config import DetectorConfig, Resize
from pipeline.chain.table import CROPS, FRAMES
from pipeline.config.models import CameraConfig, CropsConfig, FlightConfig, load_config
from pipeline.engine.progress import progress_bar
from pipeline.errors import PipelineError
from pipeline.groundtruth.read import read_truth
from pipeline.run.flight import run_stages
from pipeline.simulate import simulate_flight
from pipeline.telemetry import Telemetry, find_telemetry
from pipeline.telemetry.ground_plane import View, ground_scale
from pipeline.telemetry.srt import parse_cue, read_cues
from pipeline.telemetry.table import TableError, read_rows
from pipeline.workspace.tables import read_table


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "[iso: 100] [latitude: 47.1] [longitude: -8.2] [rel_alt: 30.100 abs_alt: 512.3] [ct: 5500]</font>",
            {"altitude_m": 30.1, "latitude": 47.1, "longitude": -8.2},
        ),
        ("[latitude : 47.1] [longtitude : 8.2] [altitude: 512.0]", {"latitude": 47.1, "longitude": 8.2}),
        (
            "HOME(8.2,47.0) 2017.08.05 14:11:51\nGPS(8.2,47.1,19) BAROMETER:30.1\nISO:100 Shutter:60 EV:0",
            {"altitude_m": 30.1, "latitude": 47.1, "longitude": 8.2},
        ),
        (
            "F/2.8, SS 206.14, ISO 150, EV 0, GPS (-82.6, 27.7, 10), D 2.80m, H 30.10m, H.S 4.00m/s, V.S 0.00m/s",
            {"altitude_m": 30.1, "latitude": 27.7, "longitude": -82.6},
        ),
        ("[rel_alt: 30.1] [gb_yaw: -91.4 gb_pitch: -60.0 gb_roll: 0.0]", {
            "altitude_m": 30.1, "heading_deg": -91.4, "pitch_deg": -60.0,
        }),
        ("[latitude: 0.000000] [longitude: 0.000000]", {}),  # the receiver has no position yet
        ("Previously, in another film", None),
        ("[rel_alt: 3x] GPS (8.2, bad, 1)", None),
    ],
)  # fmt: skip
def test_each_generation_of_subtitles(text, expected):
    assert parse_cue(text) == expected


def test_damage_is_counted_and_its_first_line_named():
    cues = read_cues(
        [
            "1\n", "00:00:00,000 --> 00:00:01,000\n", "[rel_alt: 10.0 abs_alt: 1]\n", "\n",
            "2\n", "00:00:oops --> 00:00:02,000\n", "[rel_alt: 11.0]\n", "\n",
            "3\n", "00:00:02,000 --> 00:00:03,000\n", "[rel_alt: 99999.0]\n", "\n",
            "4\n", "00:01:03,500 --> 00:01:04,000\n", "[rel_alt: 13.0]\n",
        ]
    )  # fmt: skip
    assert cues.times == [0.0, 63.5]
    assert [sample["altitude_m"] for sample in cues.samples] == [10.0, 13.0]
    assert cues.problems == 2
    assert cues.first_problem == (6, "expected a time as 00:00:12,345 --> 00:00:12,378")


@given(st.lists(st.text(alphabet=st.characters(codec="utf-8"), max_size=80), max_size=20))
def test_any_text_is_read_without_an_exception(lines):
    cues = read_cues(line + "\n" for line in lines)
    assert len(cues.times) == len(cues.samples)
    try:
        rows = read_rows(line + "\n" for line in lines)
        assert len(rows.times) == len(rows.samples)
    except TableError as error:
        assert str(error).startswith("line ")


def test_between_two_samples_it_is_linear_and_far_from_any_it_is_unknown():
    telemetry = Telemetry(
        [0.0, 1.0, 10.0],
        [{"altitude_m": 10.0, "longitude": 179.9}, {"altitude_m": 12.0, "longitude": -179.9}, {"altitude_m": 50.0}],
    )
    assert telemetry.at(0.25)["altitude_m"] == pytest.approx(10.5)
    assert abs(telemetry.at(0.5)["longitude"]) == pytest.approx(180.0)  # not 0: it goes round
    assert telemetry.at(5.0)["altitude_m"] is None
    assert telemetry.at(-1.4)["altitude_m"] == 10.0
    assert telemetry.at(-1.6)["altitude_m"] is None
    assert telemetry.at(0.5)["pitch_deg"] is None


def test_a_csv_names_its_wrong_line(tmp_path):
    good = "time,altitude,latitude,longitude,pitch\n0,10,47,8,-60\n1,,47,8,\n"
    assert read_rows(good.splitlines(keepends=True)).samples[1] == {"latitude": 47.0, "longitude": 8.0}
    video = tmp_path / "a"
    video.mkdir()
    table = tmp_path / "a.csv"
    table.write_text(good + "2,high,47,8,\n")
    source = find_telemetry("auto", video)
    assert source.file == table
    with pytest.raises(PipelineError, match=r"a\.csv: line 4: altitude is 'high', expected a number$"):
        _ = source.telemetry
    table.write_text("name,price\napple,1\n")  # somebody's other CSV
    assert source.telemetry.at(0)["altitude_m"] is None


def test_what_was_asked_for_must_be_telemetry(tmp_path):
    words = tmp_path / "words.srt"
    words.write_text("1\n00:00:00,000 --> 00:00:01,000\nHello\n")
    video = tmp_path / "v"
    video.mkdir()
    with pytest.raises(PipelineError, match=r"words\.srt: line 2: no altitude"):
        _ = find_telemetry(words, video).telemetry
    with pytest.raises(PipelineError, match=r"none\.srt: no such telemetry file"):
        find_telemetry(tmp_path / "none.srt", video)


def test_off_in_yaml_is_off(tmp_path):
    file = tmp_path / "flight.yaml"
    file.write_text("video: a.mp4\ntelemetry: off\n")
    assert load_config(file).telemetry == "off"
    file.write_text("video: a.mp4\ntelemetry: logs/a.SRT\n")
    assert load_config(file).telemetry == tmp_path / "logs" / "a.SRT"
    with pytest.raises(PipelineError, match=r"needs telemetry and camera\.fov_deg"):
        load_config(None, ["crops.person_m=[1, 2.4]"])


@pytest.fixture(scope="module")
def flight(tmp_path_factory):
    path = tmp_path_factory.mktemp("flight") / "flight01.mp4"
    return simulate_flight(path, people=8, seconds=2, seed=3, size=(640, 360), fps=8, altitude=20)


@pytest.fixture(scope="module")
def truth(flight):
    """By column of the simulator's camera table."""
    return np.genfromtxt(flight.camera, delimiter=",", names=True)


def test_a_frame_knows_where_the_drone_was(flight, truth, tmp_path):
    config = FlightConfig(workspace=tmp_path, camera=CameraConfig(fov_deg=fov(truth)))
    (result,) = run_stages(config, flight.video, FRAMES, progress_bar)
    rows = read_table(result.folder / "frames.parquet")
    np.testing.assert_allclose(rows["altitude_m"], truth["altitude_m"], atol=2e-3)
    np.testing.assert_allclose(rows["pitch_deg"], -np.degrees(truth["pitch_rad"]), atol=0.01)
    north = (rows["latitude"] - 47) * 111_320
    np.testing.assert_allclose(north, truth["y_m"], atol=0.01)
    assert result.counts["with_telemetry"] == len(rows)
    scale = ground_scale(tmp_path / "flight01")
    expected = metres_across(truth, 3, 300)
    assert scale(3, 300.0) == pytest.approx(1 / expected, rel=0.02)

    off = FlightConfig(workspace=tmp_path, telemetry="off")
    (again,) = run_stages(off, flight.video, FRAMES, progress_bar)
    assert not again.skipped
    assert read_table(again.folder / "frames.parquet")["altitude_m"].isna().sum() == len(rows)
    assert ground_scale(tmp_path / "flight01") is None


def fov(truth):
    return float(np.degrees(2 * np.arctan(640 / 2 / truth["focal_px"][0])))


def metres_across(truth, frame, row):
    """On the ground, from one pixel of `row` to the next."""
    return float(np.linalg.norm(on_ground(truth, frame, 320, row) - on_ground(truth, frame, 319, row)))


def test_persons_of_the_simulator_are_as_tall_as_people(flight, truth):
    heights = []
    for frame, people in read_truth(flight.truth).items():
        pitch = -float(np.degrees(truth["pitch_rad"][frame]))
        view = View(float(truth["altitude_m"][frame]), pitch, fov(truth), 640, 360)
        heights += [view.person_height(box) for box in people.boxes.tolist()]
    told = [height for height in heights if height is not None]
    assert len(told) > 20
    assert 1.4 < np.median(told) < 2.3


def test_distances_by_the_altitude_are_at_most_the_true_ones(flight, truth):
    still = {0: np.array([[1, 0, 0], [0, 1, 0]], np.float32)}
    shares = []
    for frame, people in read_truth(flight.truth).items():
        pitch = -float(np.degrees(truth["pitch_rad"][frame]))
        view = View(float(truth["altitude_m"][frame]), pitch, fov(truth), 640, 360)
        ground = Ground(still, lambda _, row, view=view: view.pixels_per_metre(row))
        places = [ground.place(Detection(frame, 0, 0.0, tuple(box), 1.0)) for box in people.boxes.tolist()]
        real = [on_ground(truth, frame, (box[0] + box[2]) / 2, box[3]) for box in people.boxes.tolist()]
        for one, other in combinations(range(len(places)), 2):
            distance = float(np.linalg.norm(real[one] - real[other]))
            if distance > 3:
                shares.append(places[one].metres_to(places[other]) / distance)
    assert len(shares) > 50
    assert np.quantile(shares, 0.05) > 0.5
    assert np.quantile(shares, 0.95) < 1.1


def on_ground(truth, frame, x, y):
    """Where a pixel is in metres, by the simulator's own homography."""
    matrix = np.array([truth[f"ground_{r}{c}"][frame] for r in range(3) for c in range(3)]).reshape(3, 3)
    point = np.linalg.inv(matrix) @ np.array([x, y, 1.0])
    return point[:2] / point[2]


def test_height_by_hand():
    # Looking level from 2 m: the horizon is the middle row; 45 degrees are one focal length below it.
    view = View(altitude_m=2.0, pitch_deg=0.0, fov_deg=90.0, width=200, height=201)
    assert view.focal == pytest.approx(100)
    # Feet half a focal length down stand 4 m away; a head a quarter down is at 2 - 4 / 4 = 1 m.
    assert view.person_height([0, 125, 10, 150]) == pytest.approx(1.0)
    assert view.pixels_per_metre(150) == pytest.approx(25)  # 100 px of focal length over 4 m
    assert view.person_height([0, 50, 10, 99]) is None  # above the horizon
    assert view.person_height([0, 0, 10, 150]) is None  # cut off by the edge
    assert view.pixels_per_metre(100) is None


def test_subtitles_within_the_video_are_found(flight, tmp_path):
    video, words = tmp_path / "inside.mkv", tmp_path / "words.srt"
    words.write_text(
        "".join(
            f"{second}\n00:00:0{second},000 --> 00:00:0{second + 1},000\nGPS (8.2, 47.1, 19), H {altitude}.00m\n\n"
            for second, altitude in enumerate((10, 12))
        )
    )
    with av.open(str(flight.video)) as source, av.open(str(words)) as text, av.open(str(video), "w") as sink:
        inputs = (source.streams.video[0], text.streams.subtitles[0])
        outputs = [sink.add_stream_from_template(stream) for stream in inputs]
        for stream, output in zip(inputs, outputs, strict=True):
            for packet in stream.container.demux(stream):
                if packet.dts is not None:
                    packet.stream = output
                    sink.mux(packet)
    source = find_telemetry("auto", video)
    assert source.file is None
    found = {name: value for name, value in source.telemetry.at(0.5).items() if value is not None}
    assert found == {"altitude_m": 11.0, "latitude": 47.1, "longitude": pytest.approx(8.2)}
    assert find_telemetry("off", video) is None


def test_boxes_that_are_no_person_tall_give_no_crop(flight, truth, tmp_path):
    small = DetectorConfig(weights="embedded", resize=Resize(width=320, height=320), floor=0.02, threshold=0.05)
    config = FlightConfig(workspace=tmp_path, detector=small, camera=CameraConfig(fov_deg=fov(truth)))
    run_stages(config, flight.video, CROPS, progress_bar)
    every = read_table(tmp_path / "flight01" / "crops" / "crops.parquet")
    measured = config.model_copy(update={"crops": CropsConfig(person_m=(1.0, 2.4))})
    results = run_stages(measured, flight.video, CROPS, progress_bar)
    assert [result.skipped for result in results] == [True, True, False]  # nothing is detected again
    kept = read_table(tmp_path / "flight01" / "crops" / "crops.parquet")

    def height(row):
        frame = int(row["frame"])
        pitch = -float(np.degrees(truth["pitch_rad"][frame]))
        view = View(float(truth["altitude_m"][frame]), pitch, fov(truth), 640, 360)
        return view.person_height([row["x1"], row["y1"], row["x2"], row["y2"]])

    tall = [height(row) for _, row in every.iterrows()]
    assert len(kept) == sum(metres is None or 1.0 <= metres <= 2.4 for metres in tall)
    assert 0 < len(kept) < len(every)


def test_subtitles_within_an_mp4_are_found(flight, tmp_path):
    video = tmp_path / "inside.mp4"
    millisecond = Fraction(1, 1000)
    with av.open(str(flight.video)) as source, av.open(str(video), "w") as sink:
        pictures, words = sink.add_stream_from_template(source.streams.video[0]), sink.add_stream("mov_text")
        words.codec_context.subtitle_header = STYLES  # FFmpeg opens no writer of subtitles without it
        words.codec_context.time_base = millisecond
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = pictures
                sink.mux(packet)
        for second, altitude in enumerate((10, 12)):
            text = f"F/2.8, GPS (8.2, 47.1, 19), H {altitude}.00m".encode()
            cue = av.Packet(len(text).to_bytes(2, "big") + text)
            cue.stream, cue.time_base, cue.duration = words, millisecond, 1000
            cue.pts = cue.dts = 1000 * second
            sink.mux(cue)
    assert find_telemetry("auto", video).telemetry.at(0.5)["altitude_m"] == pytest.approx(11.0)


STYLES = b"""[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, \
Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, \
MarginV, Encoding
Style: Default,Arial,16,&Hffffff,&Hffffff,&H0,&H0,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,1

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""


def test_a_damaged_camera_file_is_no_scale(tmp_path, caplog):
    (tmp_path / "frames" / "frames.parquet").mkdir(parents=True)
    (tmp_path / "frames" / "frames.parquet" / "part-00000000.parquet").write_bytes(b"PAR1 no more")
    (tmp_path / "camera.json").write_text('{"fov_deg": "wide"}')
    assert ground_scale(tmp_path) is None
    (tmp_path / "camera.json").write_text('{"fov_deg": 70}')
    assert ground_scale(tmp_path) is None
    assert len(caplog.messages) == 2
