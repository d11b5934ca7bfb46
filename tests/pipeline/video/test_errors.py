"""What cannot be read at all: one line that names the file, says what was expected and what to do."""

import os
import random
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.errors import PipelineError
from pipeline.video import content_hash, open_video
from tests.pipeline.video.samples import write_holes, write_video


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("whole") / "whole.mp4", 20, options={"g": "10"})


def _audio_only(path: Path, whole: Path) -> None:
    with av.open(str(path), "w", format="mp4") as output:
        stream = output.add_stream("aac", rate=44100)
        for block in range(4):
            frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp", layout="stereo")
            frame.rate, frame.pts = 44100, block * 1024
            output.mux(stream.encode(frame))
        output.mux(stream.encode())


def _no_frame(path: Path, whole: Path) -> None:
    with av.open(str(path), "w", format="mp4") as output:
        stream = output.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        output.start_encoding()
        output.mux(stream.encode())


def _unknown_codec(path: Path, whole: Path) -> None:
    with av.open(str(whole)) as source, av.open(str(path), "w", format="matroska") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    path.write_bytes(path.read_bytes().replace(b"V_MPEG4/ISO/AVC", b"V_UNKNOWN/X/YYY"))


def _no_sound_byte(path: Path, whole: Path) -> None:
    data = whole.read_bytes()
    write_holes(whole, path, [(data.find(b"mdat") + 4, data.find(b"moov") - 4)], None)


def _write(content: bytes):
    return lambda path, whole: path.write_bytes(content)


def _image_deep_below(path: Path, whole: Path) -> None:
    (path / "a" / "b").mkdir(parents=True)
    (path / "a" / "b" / "1.png").write_bytes(b"")


MAKERS = {
    "missing": (lambda path, whole: None, "no such file; a video file or a folder of images was expected"),
    "empty": (_write(b""), r"is empty \(0 bytes\)"),
    "text": (_write(b"not a video at all\n" * 99), "is not a video that FFmpeg can read"),
    "noise": (_write(random.Random(1).randbytes(50_000)), "is not a video that FFmpeg can read"),
    "no index": (
        lambda path, whole: path.write_bytes(whole.read_bytes()[:3000]),
        "no readable index .* copy it again or repair it",
    ),
    "audio only": (_audio_only, "has no video stream, only audio"),
    "no frame": (_no_frame, "no frame in it|is not a video that FFmpeg can read|has no video stream"),
    "unknown codec": (_unknown_codec, "no decoder for its video codec; convert it"),
    "no sound byte": (_no_sound_byte, "none of its 20 frames can be decoded"),
    "folder without images": (lambda path, whole: path.mkdir(), "no image in this folder; bmp, .*for$"),
    "folder of folders": (_image_deep_below, "did you mean .*/flight.mp4/a/b\\?$"),
}


@pytest.mark.parametrize("name", MAKERS)
def test_one_line_says_what_is_wrong(tmp_path: Path, whole: Path, name: str) -> None:
    make, expected = MAKERS[name]
    path = tmp_path / "flight.mp4"
    make(path, whole)
    with pytest.raises(PipelineError, match=expected) as caught:
        open_video(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read every file")
def test_permission_denied(tmp_path: Path, whole: Path) -> None:
    path = tmp_path / "flight.mp4"
    path.write_bytes(whole.read_bytes())
    path.chmod(0)
    with pytest.raises(PipelineError, match="permission denied"):
        open_video(path)


def test_a_device_is_no_video() -> None:
    with pytest.raises(PipelineError, match="is not a regular file"):
        open_video(Path(os.devnull))


@pytest.mark.parametrize(
    "playlist",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{path}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '{path}'\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\n",
    ],
)
@pytest.mark.parametrize("name", ["list.mp4", "list.m3u8", "list.ffconcat", "list.sdp"])
def test_a_list_of_other_files_opens_none_of_them(tmp_path: Path, whole: Path, playlist: str, name: str) -> None:
    path = tmp_path / name
    path.write_text(playlist.format(path=whole))
    with pytest.raises(PipelineError, match="is a playlist, not a video; name the video file itself"):
        open_video(path)


def test_settings_that_make_no_sense(tmp_path: Path, whole: Path) -> None:
    with pytest.raises(PipelineError, match="segments of 0 frames"):
        open_video(whole, segment_frames=0)
    with pytest.raises(PipelineError, match="0 images a second"):
        open_video(tmp_path, image_fps=0)


def test_the_hash_of_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"gone\.mp4: cannot be read"):
        content_hash(tmp_path / "gone.mp4")
