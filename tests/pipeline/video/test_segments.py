"""The parts of video reading that are plain functions: segments, pictures by their bytes, gaps."""

import numpy as np
import pytest

from pipeline.video.content_hash import natural_key
from pipeline.video.gaps import find_gaps, trailing_gap
from pipeline.video.nal import Picture, read_picture
from pipeline.video.segments import plan_segments

AVCC = b"\x01\x64\x00\x1f\xff"  # units behind lengths of four bytes
HVCC = b"\x01" + bytes(20) + b"\x03"


@pytest.mark.parametrize(
    ("clean", "starts", "anchors"),
    [
        ([0, 300], [0, 300, 556, 812], [0, 300, 300, 300]),
        ([0, 100, 256, 400, 800], [0, 256, 512, 800], [0, 256, 400, 800]),
        ([], [0, 256, 512, 768], [0, 0, 0, 0]),
        ([0, 511], [0, 511, 767], [0, 511, 511]),
        ([0, 512], [0, 256, 512, 768], [0, 0, 512, 512]),
    ],
)
def test_boundaries_lie_on_clean_key_frames_where_there_are_any(
    clean: list[int], starts: list[int], anchors: list[int]
) -> None:
    frames = np.array(clean, np.int64)
    segments = plan_segments(1000, frames, frames, 256)
    assert [segment.first for segment in segments] == starts
    assert [segment.stop for segment in segments] == [*starts[1:], 1000]
    assert [segment.run.anchor for segment in segments] == anchors
    assert [segment.number for segment in segments] == list(range(len(segments)))
    for segment in segments:
        assert segment.run.anchor <= segment.run.first <= segment.first
        assert segment.stop <= segment.run.stop


@pytest.mark.parametrize(
    ("codec", "extradata", "packet", "clean"),
    [
        ("h264", AVCC, b"\0\0\0\x02\x06\xff" + b"\0\0\0\x02\x65\x88", True),
        ("h264", AVCC, b"\0\0\0\x02\x06\xff" + b"\0\0\0\x02\x41\x88", False),
        ("h264", b"", b"\0\0\0\x01\x67\xaa\0\0\x01\x65\x88", True),
        ("h264", None, b"\0\0\0\x01\x09\xaa\0\0\x01\x61\x88", False),
        ("h264", AVCC, b"", False),
        ("hevc", HVCC, b"\0\0\0\x02\x2a\x01", True),
        ("hevc", HVCC, b"\0\0\0\x02\x02\x01", False),
        ("vp9", None, b"\x82", True),
    ],
)
def test_clean_key_frames(codec: str, extradata: bytes | None, packet: bytes, clean: bool) -> None:
    assert read_picture(codec, extradata, True, packet).clean is clean
    assert not read_picture(codec, extradata, False, packet).clean


RECOVERY = b"\0\0\0\x05\x06\x06\x01\xc4\x80"  # a recovery point after no further frame: ue(0) is one bit, 1
REFRESH = b"\0\0\0\x05\x06\x06\x02\x08\xc0"  # ue(16): 0000 1 0001


@pytest.mark.parametrize(
    ("codec", "extradata", "packet", "picture"),
    [
        ("h264", AVCC, RECOVERY + b"\0\0\0\x02\x61\x88", Picture(False, 0, False)),
        ("h264", AVCC, REFRESH + b"\0\0\0\x02\x41\x88", Picture(False, 16, False)),
        ("h264", AVCC, b"\0\0\0\x02\x01\x9e", Picture(False, -1, True)),  # nal_ref_idc 0
        ("h264", AVCC, b"\0\0\0\x02\x41\x9e", Picture(False, -1, False)),
        ("hevc", HVCC, b"\0\0\0\x02\x00\x01", Picture(False, -1, True)),  # TRAIL_N
        ("hevc", HVCC, b"\0\0\0\x02\x2a\x01", Picture(True, 0, False)),  # CRA
        ("h264", AVCC, bytes(64), Picture(False, -1, False)),
        ("av1", None, b"\x12\0", Picture(True, 0, False)),
    ],
)
def test_what_refers_to_a_picture(codec: str, extradata: bytes | None, packet: bytes, picture: Picture) -> None:
    assert read_picture(codec, extradata, True, packet) == picture


def test_numbers_in_names_count_as_numbers() -> None:
    names = ["frame10", "Frame2", "frame1b", "frame1", "7", "frame²"]
    assert sorted(names, key=natural_key) == ["7", "frame1", "frame1b", "Frame2", "frame10", "frame²"]


def test_a_gap_is_a_hole_in_the_bytes_and_a_step_in_the_times() -> None:
    pos = np.arange(20) * 10_000
    size = np.full(20, 9_990)
    pts = np.arange(20) * 40
    shown = np.ones(20, bool)

    def gaps(pos, pts, counted=False):
        return [
            rank for rank, _ in find_gaps(np.stack([pos, size], 1), pos, pts, shown, times_count_packets=counted)
        ]

    hole = pos + 50_000 * (np.arange(20) >= 12)
    step = pts + 200 * (np.arange(20) >= 12)
    assert gaps(pos, pts) == gaps(hole, pts) == gaps(pos, step) == []
    assert gaps(hole, step) == gaps(hole, pts, counted=True) == [12]


def test_a_missing_end() -> None:
    assert trailing_gap(1000, 1200, 9.9, 10.0, False) is None
    assert trailing_gap(1000, 900_000, 9.9, None, False) is None
    assert "promises 10.00 s" in (trailing_gap(1000, 1200, 6.0, 10.0, False) or "")
    assert "last 899000 bytes" in (trailing_gap(1000, 900_000, 9.9, None, True) or "")
