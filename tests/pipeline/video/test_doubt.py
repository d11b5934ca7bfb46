"""Frames in doubt: what follows a damaged packet, up to where a decoder may begin afresh."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.video import open_video
from pipeline.video.doubt import frames_in_doubt
from pipeline.video.scan import Packets
from pipeline.video.table import FrameTable
from tests.pipeline.video.samples import packet_ranges, write_holes, write_video


def stream(pictures: str, order: list[int] | None = None) -> tuple[Packets, FrameTable]:
    """Packets by letters in the order of the file: I clean, P, b disposable, a digit: a refresh after so many.

    `order` has the place of each in the order of presentation; by default it is the order of the file.
    """
    n = len(pictures)
    pts = np.array(order if order is not None else range(n), np.int64)
    entry = np.array([0 if each == "I" else int(each) if each.isdigit() else -1 for each in pictures], np.int64)
    key = np.array([each == "I" for each in pictures])
    packets = Packets(
        pts=pts,
        dts=np.arange(n),
        pos=np.arange(n),
        size=np.ones(n, np.int64),
        key=key,
        clean=key,
        entry=entry,
        disposable=np.array([each == "b" for each in pictures]),
        shown=np.ones(n, np.bool_),
        trouble=(),
        cut_off=np.empty(0, np.int64),
    )
    shown_in_turn = np.argsort(pts)
    return packets, FrameTable(pts[shown_in_turn], pts / 25, key[shown_in_turn], shown_in_turn, "container")


@pytest.mark.parametrize(
    ("pictures", "order", "bad", "expected"),
    [
        ("IPPPIPP", None, [1], {1, 2, 3}),
        ("IPbPbIPP", None, [2], {2}),  # nothing refers to it
        ("IPbPbIPP", None, [3], {3, 4}),
        ("IPPPIPP", None, [4], {4, 5, 6}),  # the fresh start itself
        ("IPP0bP", [0, 1, 2, 5, 4, 6], [1], {1, 2, 3}),  # presented before the entry point, referring back over it
        ("IPP2PPPP", None, [1], {1, 2, 3, 4}),  # a refresh that is complete two pictures later
        ("IPP2PPPP", None, [1, 4], {1, 2, 3, 4, 5, 6, 7}),  # damage within it: it completes nothing
        ("IPPP", None, [], set()),
    ],
)
def test_doubt_ends_where_a_decoder_may_begin(
    pictures: str, order: list[int] | None, bad: list[int], expected: set[int]
) -> None:
    if order is not None:
        order = [int(place) for place in np.argsort(np.argsort(order))]
    packets, table = stream(pictures, order)
    found = frames_in_doubt(packets, table, dict.fromkeys(bad, "lost"), (0, len(packets)))
    assert set(found) == expected
    assert all("lost" in what for what in found.values())


def test_without_packets_doubt_goes_to_the_next_key_frame() -> None:
    packets, known = stream("IPPIPP")
    table = FrameTable(None, known.times, known.key, None, "rate")
    assert set(frames_in_doubt(packets, table, {1: "lost"}, (0, 6))) == {1, 2}


ENCODINGS = {
    "h264.mp4": {"options": {"g": "30", "qp": "24", "bf": "3"}},
    "long.mkv": {"options": {"g": "250", "qp": "24", "preset": "veryfast"}},
    "open.mkv": {"options": {"g": "20", "qp": "24", "x264-params": "open-gop=1"}},
    "refresh.mp4": {"options": {"qp": "24", "x264-params": "intra-refresh=1:keyint=30"}},
    "h264.ts": {"options": {"g": "30", "qp": "24"}},
    "av1.mp4": {"codec": "libsvtav1", "options": {"g": "30", "preset": "11"}},
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"g": "30", "cpu-used": "8", "b": "900k"}},
}


@pytest.mark.parametrize("name", list(ENCODINGS))
def test_frames_that_are_wrong_after_a_hole_are_suspect(tmp_path: Path, name: str) -> None:
    whole = write_video(tmp_path / name, 120, (192, 128), **ENCODINGS[name])
    truth = {round(frame.pts_s, 3): frame.image.astype(int) for frame in open_video(whole).read_all()}
    ranges = packet_ranges(whole)
    wrong, right = [], []
    for hit in (7, 22, 41):
        hole = (sum(ranges[hit][1:]) // 2, ranges[hit + 2][1] + 40)  # from half a packet into the next but one
        damaged = write_holes(whole, tmp_path / f"damaged_{name}", [hole], seed=hit)
        for frame in open_video(damaged).read_all():
            differs = np.abs(frame.image - truth[round(frame.pts_s, 3)]).mean() > 1
            (wrong if differs else right).append(frame.suspect)
    assert wrong
    assert np.mean(wrong) >= 0.95
    assert np.mean(right) <= 0.6  # of so few frames; benchmarks/damage.py measures it on real ones


def test_hevc_damage_that_the_decoder_owns_up_to(tmp_path: Path) -> None:
    options = {"x265-params": "keyint=30:log-level=none", "preset": "ultrafast"}
    whole = write_video(tmp_path / "whole.mp4", 60, (192, 128), codec="libx265", options=options)
    _, first, last = packet_ranges(whole)[4]
    damaged = write_holes(whole, tmp_path / "damaged.mp4", [(first, last)], seed=None)
    suspect = {frame.index for frame in open_video(damaged).read_all() if frame.suspect}
    assert suspect
    assert max(suspect) < 30
