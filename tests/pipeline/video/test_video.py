"""Reading whole files: the same frames as FFmpeg's own straight decode, whichever way they are reached."""

import hashlib
import os
import random
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from pipeline.errors import PipelineError
from pipeline.video import Damage, Frame, Video, content_hash, open_video
from tests.pipeline.video.samples import packet_ranges, picture, plain_decode, write_rotated, write_video

X264 = "keyint=12:min-keyint=12:scenecut=0:"
CLIPS = {
    "closed_gop.mp4": {"options": {"x264-params": X264 + "bframes=2"}},
    "open_gop.mp4": {"options": {"x264-params": X264 + "open-gop=1:bframes=3"}},
    "open_gop.mkv": {"options": {"x264-params": X264 + "open-gop=1:bframes=3"}},
    "pyramid.mp4": {"options": {"x264-params": X264 + "bframes=5:b-pyramid=normal"}},
    "intra_refresh.mp4": {"options": {"x264-params": X264 + "intra-refresh=1:bframes=0"}},
    "single_gop.mp4": {"options": {"x264-params": "keyint=infinite:scenecut=0:bframes=3"}},
    "fragments.mp4": {"options": {"g": "12"}, "container_options": {"movflags": "frag_keyframe+empty_moov"}},
    "stream.ts": {"options": {"g": "12"}},
    "stream.flv": {"options": {"g": "12"}},
    "hevc.mp4": {"codec": "libx265", "options": {"x265-params": "keyint=12:open-gop=0:log-level=none"}},
    "hevc_open.mkv": {
        "codec": "libx265",
        "options": {"x265-params": "keyint=12:open-gop=1:bframes=3:log-level=none"},
    },
    "vp9.webm": {
        "codec": "libvpx-vp9",
        "options": {"g": "30", "auto-alt-ref": "1", "lag-in-frames": "12", "cpu-used": "8", "b": "200k"},
    },
    "vp8_hidden_frames.webm": {
        "codec": "libvpx",
        "options": {"g": "30", "auto-alt-ref": "1", "lag-in-frames": "12", "cpu-used": "8", "b": "200k"},
    },
    "mpeg4.avi": {"codec": "mpeg4", "options": {"g": "12"}},
    "mpeg4_b.avi": {"codec": "mpeg4", "options": {"g": "12", "bf": "2"}},
    "mpeg2.ts": {"codec": "mpeg2video", "options": {"g": "12", "bf": "2"}},
    "mjpeg.avi": {"codec": "mjpeg", "pixel_format": "yuvj420p"},
    "ten_bit.mp4": {"pixel_format": "yuv420p10le", "options": {"g": "12"}},
    "full_chroma_odd.mp4": {"pixel_format": "yuv444p", "size": (81, 47), "options": {"g": "12"}},
    "gray.mp4": {"pixel_format": "gray", "options": {"g": "12"}},
    "odd.mkv": {"codec": "ffv1", "size": (81, 47)},
    "raw.h264": {"container": "h264", "options": {"g": "12"}},
    "h264_b.avi": {"options": {"g": "12", "bf": "2"}},
}
WITHOUT_TIMES = {"raw.h264", "h264_b.avi"}


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory):
    """Makes the clips above, each once."""
    folder = tmp_path_factory.mktemp("clips")

    def clip(name: str) -> Path:
        path = folder / name
        if not path.exists():
            settings = CLIPS[name]
            codec = settings.get("codec", "libx264")
            if codec not in av.codecs_available:
                pytest.skip(f"this PyAV has no encoder {codec}")
            write_video(path, 48, **{"size": (96, 64), **settings})
        return path

    return clip


def read(video: Video, damage: list[Damage] | None = None) -> list[Frame]:
    return [frame for segment in video.segments for frame in video.read(segment, damage)]


def same(frames: list[Frame], others: list[Frame]) -> bool:
    return len(frames) == len(others) and all(
        (a.index, a.pts_s, a.key, a.corrupt) == (b.index, b.pts_s, b.key, b.corrupt)
        and np.array_equal(a.image, b.image)
        for a, b in zip(frames, others, strict=True)
    )


@pytest.mark.parametrize("name", CLIPS)
def test_every_frame_is_that_of_a_plain_decode_and_every_segment_that_of_a_straight_read(clips, name: str) -> None:
    path = clips(name)
    video = open_video(path, segment_frames=10)
    damage: list[Damage] = []
    frames = read(video, damage)

    assert damage == []
    assert [frame.index for frame in frames] == list(range(48))
    assert video.frame_count == 48
    assert len(video.segments) >= 3
    assert [s.first for s in video.segments[1:]] == [s.stop for s in video.segments[:-1]]
    assert all(np.array_equal(f.image, plain) for f, plain in zip(frames, plain_decode(path), strict=True))
    assert video.times_from == ("rate" if name in WITHOUT_TIMES else "container")
    assert np.allclose(np.diff([frame.pts_s for frame in frames]), 1 / 25, atol=1.1e-3)

    shuffled = list(video.segments)
    random.Random(name).shuffle(shuffled)
    for segment in shuffled:
        assert same(list(video.read(segment)), frames[segment.first : segment.stop])


@pytest.mark.parametrize("name", ["open_gop.mp4", "single_gop.mp4", "hevc_open.mkv", "odd.mkv"])
def test_the_number_of_threads_does_not_show(clips, name: str) -> None:
    path = clips(name)
    straight = read(open_video(path, segment_frames=10))
    for threads in (1, 2, 5):
        assert same(read(open_video(path, segment_frames=10, threads=threads)), straight)


def test_a_read_given_up_half_way_harms_no_later_one(clips) -> None:
    video = open_video(clips("single_gop.mp4"), segment_frames=10)
    straight = read(video)
    for segment in video.segments:
        reading = video.read(segment)
        next(reading)
        reading.close()
    assert same(read(video), straight)


def test_one_group_of_pictures_is_decoded_once_when_segments_are_read_in_order(clips, monkeypatch) -> None:
    from pipeline.video import decode

    video = open_video(clips("single_gop.mp4"), segment_frames=10)
    opened = []
    real = decode.open_container
    monkeypatch.setattr(decode, "open_container", lambda path: opened.append(path) or real(path))
    assert len(read(video)) == 48
    assert len(opened) == 1


def test_times_of_a_variable_frame_rate_are_the_containers(tmp_path: Path) -> None:
    milliseconds = np.cumsum([500, *np.random.default_rng(3).integers(5, 400, 59)])
    times = [Fraction(int(value), 1000) for value in milliseconds]
    path = write_video(tmp_path / "vfr.mkv", 60, (96, 64), times=times, time_base=Fraction(1, 1000))
    frames = read(open_video(path, segment_frames=10))
    assert [frame.pts_s for frame in frames] == [float(time) for time in times]  # a start other than 0 is kept


def test_reading_the_rest_does_not_need_the_seek_to_be_right(clips, monkeypatch) -> None:
    from pipeline.video.decode import PacketReader

    path = clips("closed_gop.mp4")
    video = open_video(path, segment_frames=10)
    straight = read(video)
    monkeypatch.setattr(PacketReader, "_rank_of", lambda self, packet: None)
    assert same(read(video), straight)


@pytest.mark.parametrize(("degrees", "turns"), [(90, 3), (180, 2), (270, 1)])
def test_rotation_is_applied(clips, tmp_path: Path, degrees: int, turns: int) -> None:
    path = clips("closed_gop.mp4")
    video = open_video(write_rotated(path, tmp_path / "turned.mp4", degrees))
    frame = next(iter(video.read(video.segments[0])))
    assert np.array_equal(frame.image, np.rot90(plain_decode(path)[0], turns))
    assert (video.height, video.width) == frame.image.shape[:2]
    assert video.rotation == 360 - degrees


def test_the_streams_own_colour_space_and_range_are_honoured(tmp_path: Path) -> None:
    red = np.full((64, 96, 3), (200, 40, 60), np.uint8)

    def decoded(name: str, space: str, full: bool) -> np.ndarray:
        path = tmp_path / name
        with av.open(str(path), "w") as output:
            stream = output.add_stream("libx264", rate=25, options={"qp": "1"})
            stream.width, stream.height, stream.pix_fmt = 96, 64, "yuvj444p" if full else "yuv444p"
            matrix = {"ITU709": 1, "ITU601": 6}[space]
            stream.codec_context.colorspace, stream.codec_context.color_range = matrix, 2 if full else 1
            frame = av.VideoFrame.from_ndarray(red, format="rgb24").reformat(
                format=stream.pix_fmt, dst_colorspace=space, dst_color_range="JPEG" if full else "MPEG"
            )
            output.mux(stream.encode(frame))
            output.mux(stream.encode())
        video = open_video(path)
        return next(iter(video.read(video.segments[0]))).image

    for space in ("ITU601", "ITU709"):
        for full in (False, True):
            image = decoded(f"{space}{full}.mp4", space, full)
            assert np.abs(image.astype(int) - red).max() <= 4, (space, full)


def test_a_change_of_size_on_the_way_is_scaled_and_said(tmp_path: Path) -> None:
    parts = [
        write_video(tmp_path / f"{w}.h264", 6, (w, h), container="h264").read_bytes()
        for w, h in ((96, 64), (128, 96))
    ]
    path = tmp_path / "two_sizes.h264"
    path.write_bytes(b"".join(parts))
    damage: list[Damage] = []
    frames = read(open_video(path), damage)
    assert {frame.image.shape for frame in frames} == {(64, 96, 3)}
    assert len(frames) == 12
    assert [one.frame for one in damage if "128x96" in one.what and not one.lost] == list(range(6, 12))


def test_a_single_pixel_is_a_video(tmp_path: Path) -> None:
    path = write_video(tmp_path / "one.mp4", 3, (1, 1), pixel_format="yuv444p")
    assert [frame.image.shape for frame in read(open_video(path))] == [(1, 1, 3)] * 3


def test_any_file_name_will_do(clips, tmp_path: Path) -> None:
    for name in ("http:x %d é.mp4", os.fsdecode(b"bad\xff.mp4")):
        path = tmp_path / name
        path.write_bytes(clips("closed_gop.mp4").read_bytes())
        assert open_video(path).frame_count == 48


def test_a_file_that_changes_while_it_is_read_is_an_error(clips, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(clips("closed_gop.mp4").read_bytes())
    video = open_video(path)
    with path.open("ab") as handle:
        handle.write(b"more")
    with pytest.raises(PipelineError, match=r"clip\.mp4: has changed"):
        read(video)


def test_the_fingerprint_is_that_of_the_bytes(clips, tmp_path: Path) -> None:
    path = clips("closed_gop.mp4")
    assert open_video(path).fingerprint() == content_hash(path) == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_folder_of_images_is_read_in_natural_order(tmp_path: Path) -> None:
    for number in (10, 2, 1):
        cv2.imwrite(str(tmp_path / f"frame{number}.png"), picture(number, 40, 30)[:, :, ::-1])
    cv2.imwrite(str(tmp_path / "frame3.jpg"), picture(3, 80, 60))
    (tmp_path / "frame4.jpg").write_bytes(b"not an image")
    (tmp_path / ".frame0.png").write_bytes(b"hidden")
    (tmp_path / "notes.txt").write_text("no image")
    video = open_video(tmp_path, segment_frames=2, image_fps=10)
    damage: list[Damage] = []
    frames = read(video, damage)
    assert [(s.first, s.stop) for s in video.segments] == [(0, 2), (2, 4), (4, 5)]
    assert [(frame.index, frame.pts_s) for frame in frames] == [(0, 0.0), (1, 0.1), (2, 0.2), (4, 0.4)]
    for frame, number in ((frames[0], 1), (frames[1], 2), (frames[3], 10)):
        assert np.array_equal(frame.image, picture(number, 40, 30))
    assert [(one.frame, one.lost) for one in damage] == [(2, False), (3, True)]
    assert "its size is 80x60" in damage[0].what
    assert content_hash(tmp_path) == video.fingerprint()


@pytest.mark.skipif("UAVPIPE_SAMPLE_DATA" not in os.environ, reason="UAVPIPE_SAMPLE_DATA is not set")
@pytest.mark.parametrize("name", ["uav123_person11.mp4", "crowd_640x360.mp4"])
def test_real_clips(name: str) -> None:
    path = Path(os.environ["UAVPIPE_SAMPLE_DATA"]) / "video" / name
    video = open_video(path, segment_frames=64)
    damage: list[Damage] = []
    frames = read(video, damage)
    assert damage == []
    assert all(np.array_equal(f.image, plain) for f, plain in zip(frames, plain_decode(path), strict=True))
    last = video.segments[-1]
    assert same(list(video.read(last)), frames[last.first : last.stop])
    assert len(packet_ranges(path)) == len(frames)


def test_where_the_last_frames_of_a_run_refer_to_one_behind_them_a_sound_video_is_decoded_once(tmp_path):
    x264 = "keyint=24:min-keyint=24:scenecut=0:bframes=3:b-pyramid=normal:b-adapt=0"
    path = write_video(tmp_path / "a.mp4", 40, options={"preset": "medium", "x264-params": x264})
    for cut in range(26, 38):
        video = open_video(path, segment_frames=cut)
        runs = [video.decoder_run(segment) for segment in video.segments]
        indices = [[index for index, _ in run.frames()] for run in runs]
        assert indices == [list(range(cut)), list(range(cut, 40))]
        assert [run.evidence for run in runs] == [None, None]  # it is what a second decoding would have given
