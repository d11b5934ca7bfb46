"""One flight in several files: frame numbers and times run on, and every table is that of the uncut flight."""

import json
from datetime import UTC, datetime, timedelta

import av
import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from detector.records import Detections
from pipeline.chain.table import TRACKS
from pipeline.cli import main
from pipeline.config.flights import require_flights
from pipeline.config.models import load_config
from pipeline.engine.progress import progress_bar
from pipeline.errors import PipelineError
from pipeline.labelling.application import Pictures
from pipeline.privacy.redactions import FILE, open_known_flight
from pipeline.run.flight import run_stages
from pipeline.telemetry import find_flight_telemetry
from pipeline.video import content_hash, open_video
from pipeline.workspace.tables import read_table
from tests.pipeline.video.samples import packet_ranges, picture, write_holes

FRAMES, CUT, EVERY = 30, 18, 6
SIZE = (160, 96)


class Squares:
    """Finds the bright squares of `_film`."""

    batch_size, workers, runtime = 4, 1, "squares"

    def preprocess(self, image):
        return image

    def predict(self, batch):
        return [self._found(image) for image in batch]

    def _found(self, image):
        _, _, stats, _ = cv2.connectedComponentsWithStats((image[..., 1] > 200).astype(np.uint8))
        boxes = [(x, y, x + w, y + h) for x, y, w, h, area in stats[1:] if area > 200]
        return Detections(np.array(boxes, np.float32).reshape(-1, 4), np.full(len(boxes), 0.9, np.float32))


def _film(path, frames=FRAMES, size=SIZE, rate=25, recorded=None):
    """A square that walks over waves; a key frame every `EVERY` frames, and B-frames between them."""
    with av.open(str(path), "w") as output:
        if recorded:
            output.metadata["creation_time"] = recorded.isoformat()
        stream = output.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.options = {
            "g": str(EVERY),
            "sc_threshold": "0",
            "bf": "2",
            "x264-params": "open-gop=0",
            "threads": "1",
        }
        for index in range(frames):
            image = picture(index, *size) // 2
            image[20:60, 10 + 3 * index : 30 + 3 * index] = 255
            output.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        output.mux(stream.encode())
    return path


def _cut(path, at, folder):
    """The packets of the first `at` frames of `path`, and the others, in a file each whose times begin at 0."""
    parts = [folder / "DJI_0001.MP4", folder / "DJI_0002.MP4"]
    with av.open(str(path)) as source:
        stream = source.streams.video[0]
        packets = [packet for packet in source.demux(stream) if packet.size]
        keys = [rank for rank, packet in enumerate(packets) if packet.is_keyframe]
        assert at in keys
        for part, own in zip(parts, (packets[:at], packets[at:]), strict=True):
            first = own[0].pts
            with av.open(str(part), "w") as output:
                target = output.add_stream_from_template(stream)
                for packet in own:
                    packet.pts, packet.dts, packet.stream = packet.pts - first, packet.dts - first, target
                    output.mux(packet)
    return parts


def _subtitles(path, first, frames, rate=25):
    cues = [
        f"{rank}\n{_clock(rank / rate)} --> {_clock((rank + 1) / rate)}\n"
        f"[latitude: {47 + (first + rank) / 1e4}] [longitude: 8.5] "
        f"[rel_alt: {30 + first + rank}.0 abs_alt: 500.0]\n"
        for rank in range(frames)
    ]
    path.write_text("\n".join(cues))


def _clock(seconds):
    return f"00:00:{int(seconds):02d},{round(seconds % 1 * 1000):03d}"


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """An uncut flight, its two parts, and a configuration of both."""
    folder = tmp_path_factory.mktemp("parts")
    film = _film(folder / "whole.mp4")
    parts = _cut(film, CUT, folder)
    _subtitles(folder / "whole.SRT", 0, FRAMES)
    _subtitles(folder / "DJI_0001.SRT", 0, CUT)
    _subtitles(folder / "DJI_0002.SRT", CUT, FRAMES - CUT)
    (folder / "flights.yaml").write_text(
        "videos:\n- whole.mp4\n- {name: parts, parts: [DJI_0001.MP4, DJI_0002.MP4]}\nworkspace: runs\n"
        "detector: {weights: embedded}\ncrops: {min_height: 8}\ntracks: {split_below: null}\n"
        "frames: {segment_frames: 6}\n"
    )
    return film, parts, load_config(folder / "flights.yaml")


@pytest.fixture(scope="module")
def flown(films):
    config = films[2]
    for video in require_flights(config):
        run_stages(config, video, TRACKS, progress_bar, load=lambda *_: Squares())
    return config.workspace / "whole", config.workspace / "parts"


def test_a_flight_in_parts_gives_the_tables_of_the_uncut_one(flown):
    whole, parts = ({path.relative_to(each): path for path in each.rglob("*") if path.is_file()} for each in flown)
    assert whole.keys() == parts.keys()
    tables = [name for name in whole if name.suffix == ".parquet"]
    assert len(tables) > FRAMES / EVERY
    # Their bytes differ in the fingerprint of the stage alone, which names the video's hash.
    assert [name for name in tables if not pq.read_table(whole[name]).equals(pq.read_table(parts[name]))] == []
    crops = [name for name in whole if name.suffix == ".jpg"]
    assert len(crops) == FRAMES
    assert [name for name in crops if whole[name].read_bytes() != parts[name].read_bytes()] == []
    tracklets = read_table(flown[1] / "tracks" / "tracklets.parquet")
    assert set(tracklets["frame"]) == set(range(FRAMES))
    assert tracklets["tracklet"].nunique() == 1, "a tracklet runs over the joint"
    frames = read_table(flown[1] / "frames" / "frames.parquet")
    assert frames["altitude_m"].round(3).tolist() == [30.0 + frame for frame in range(FRAMES)]


def test_what_reads_the_video_of_a_finished_flight_sees_all_parts(flown, tmp_path, films):
    whole, parts = flown
    pictures = Pictures(whole.parent)
    assert pictures.jpeg("parts", CUT + 2) == pictures.jpeg("whole", CUT + 2)
    box = [10.0, 20.0, 60.0, 60.0]
    (parts / FILE).write_text(json.dumps({"frames": {str(CUT + 2): [box]}}))
    try:
        seen = {frame.index: frame.image for frame in open_known_flight(parts).read_all()}
    finally:
        (parts / FILE).unlink()
    differs = [
        frame.index for frame in open_known_flight(whole).read_all() if (seen[frame.index] != frame.image).any()
    ]
    assert differs == [CUT + 2]
    # The commands that make stages again name all parts.
    crop = next((parts / "crops").rglob(f"*{CUT + 2:08d}*.jpg"))
    found = json.loads(_call("trace", str(crop), "--workspace", str(whole.parent), "--json"))["flight"]
    assert found["video_parts"] == list(map(str, films[1]))
    assert found["video_is_there"]
    assert str(films[1][1]) in found["stages"]["detections"]["command"]
    assert "parts" in _call("verify", "--workspace", str(whole.parent))
    assert _call("anonymize", str(parts), "--blur-people", "--output", str(tmp_path / "shared.mp4"))
    assert open_video(tmp_path / "shared.mp4").frame_count == FRAMES


def _call(*words):
    result = CliRunner().invoke(main, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize("segment_frames", [1, 7, 256])
def test_segments_are_read_in_any_order(films, segment_frames):
    film, parts, _ = films
    video = open_video(parts, segment_frames=segment_frames)
    assert (video.frame_count, video.width, video.height, video.path) == (FRAMES, *SIZE, parts[0])
    assert video.fps == pytest.approx(25)
    assert [each.number for each in video.segments] == list(range(len(video.segments)))
    frames = {frame.index: frame for segment in reversed(video.segments) for frame in video.read(segment)}
    for frame in open_video(film).read_all():
        other = frames.pop(frame.index)
        assert (frame.pts_s, frame.key) == (other.pts_s, other.key)
        assert (frame.image == other.image).all()
    assert not frames


def test_the_content_is_that_of_all_parts_in_their_order(films):
    first, second = films[1]
    assert content_hash([first]) == content_hash(first)
    hashes = {
        content_hash([first, second]),
        content_hash([second, first]),
        content_hash(first),
        content_hash(second),
    }
    assert len(hashes) == 4
    assert open_video([first, second]).fingerprint() == content_hash([first, second])


def test_damage_of_a_part_is_on_the_flights_own_frames(films, tmp_path):
    first, second = films[1]
    start, stop = next((start, stop) for index, start, stop in packet_ranges(second) if index == 3)
    broken = write_holes(second, tmp_path / "DJI_0002.MP4", [(start + 20, stop)], seed=None)
    alone, together = [], []
    suspect = [frame.index for frame in open_video(broken).read_all(alone) if frame.suspect]
    frames = list(open_video([first, broken]).read_all(together))
    assert alone
    assert suspect
    assert [frame.index for frame in frames if frame.suspect] == [CUT + index for index in suspect]
    assert [(each.frame, each.what, each.lost) for each in together] == [
        (CUT + each.frame, each.what, each.lost) for each in alone
    ]
    assert [each.pts_s for each in together] == pytest.approx([CUT / 25 + each.pts_s for each in alone])


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"size": (128, 96)}, "b.mp4: its frames are 128x96, those of .*a.mp4 160x96; parts of one flight"),
        ({"rate": 30}, "b.mp4: has 30 frames a second, .*a.mp4 25; parts of one flight have one size and rate"),
    ],
)
def test_files_that_are_no_parts_of_one_flight_are_refused(other, message, tmp_path):
    parts = [_film(tmp_path / "a.mp4", 4), _film(tmp_path / "b.mp4", 4, **other)]
    with pytest.raises(PipelineError, match=message):
        open_video(parts)
    with pytest.raises(PipelineError, match="is a folder; a part of a flight is a video file"):
        open_video([parts[0], tmp_path])


BEGAN = datetime(2024, 5, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "message"),
    [
        (0.2, ""),
        (-60, "was recorded before a.mp4; parts are read in the order given"),
        (90, "begins 90 s after the end"),
    ],
)
def test_parts_whose_headers_say_otherwise_are_announced(seconds, message, tmp_path, caplog):
    after = BEGAN + timedelta(seconds=seconds)
    open_video([_film(tmp_path / "a.mp4", 4, recorded=BEGAN), _film(tmp_path / "b.mp4", 4, recorded=after)])
    assert message in caplog.text if message else not caplog.text


@pytest.mark.parametrize(
    ("size", "seconds", "given", "told"),
    [
        (3_700_000_000, 0, ["DJI_0001.MP4"], True),
        (3_700_000_000, 0, ["DJI_0001.MP4", "DJI_0002.MP4"], True),
        (3_700_000_000, 600, ["DJI_0001.MP4"], False),
        (700_000, 0, ["DJI_0001.MP4"], False),
    ],
)
def test_a_file_that_continues_a_full_one_is_announced(size, seconds, given, told, tmp_path, caplog):
    first = _film(tmp_path / "DJI_0001.MP4", 4, recorded=BEGAN)
    _film(tmp_path / "DJI_0002.MP4", 4, recorded=BEGAN + timedelta(seconds=seconds))
    (tmp_path / "DJI_0002.LRF").touch()
    with first.open("r+b") as file:
        file.truncate(size)
    require_flights(load_config(videos=[tmp_path / name for name in given]))
    assert (f"DJI_0002.MP4: continues {first}; if the recorder cut one flight" in caplog.text) is told
    caplog.clear()
    require_flights(load_config(None, [f"videos=[{{parts: [{first}, {tmp_path / 'DJI_0002.MP4'}]}}]"]))
    assert not caplog.text


@pytest.mark.parametrize(
    ("videos", "message"),
    [
        ("[a.mp4, {name: x, parts: [b.mp4, a.mp4]}]", "a.mp4: is named twice; a file is part of one flight"),
        ("[{name: x, parts: [b.mp4, a.mp4]}, {name: y, parts: [c.mp4, a.mp4]}]", "a.mp4: is named twice"),
        ("[{name: x, parts: [a.mp4, a.mp4]}]", "a.mp4: is named twice"),
        ("[{path: a.mp4, parts: [b.mp4]}]", "either 'path' or 'parts', not both"),
        ("[{name: x, parts: a.mp4}]", "expected parts: .first file, second file, …."),
        ("[{name: x, parts: []}]", "expected parts: .first file, second file, …."),
    ],
)
def test_parts_of_a_configuration_are_checked(videos, message):
    with pytest.raises(PipelineError, match=message):
        require_flights(load_config(None, [f"videos={videos}"]))


def test_one_log_of_the_whole_flight(films, tmp_path, caplog):
    log = tmp_path / "flight.csv"
    log.write_text("time,altitude\n" + "".join(f"{frame / 25},{30 + frame}\n" for frame in range(FRAMES)))
    telemetry = find_flight_telemetry(log, films[1]).telemetry
    assert telemetry.at(1.12)["altitude_m"] == pytest.approx(58)
    assert not caplog.text
    (tmp_path / "logs").mkdir()
    _subtitles(tmp_path / "logs" / "DJI_0002.srt", CUT, FRAMES - CUT)
    telemetry = find_flight_telemetry(tmp_path / "logs", films[1]).telemetry
    assert telemetry.at(1.12)["altitude_m"] == pytest.approx(58)
    assert "DJI_0001.MP4: no telemetry of this part of the flight" in caplog.text
