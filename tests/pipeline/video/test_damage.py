"""Damaged files: what is whole is delivered, what is not is listed, and both are the same each time."""

import random
from pathlib import Path

import numpy as np
import pytest

from pipeline.video import Damage, Frame, open_video
from tests.pipeline.video.samples import packet_ranges, write_holes, write_video


def read(path: Path, threads: int | None = None, segment_frames: int = 64) -> tuple[list[Frame], list[Damage]]:
    damage: list[Damage] = []
    video = open_video(path, segment_frames=segment_frames, threads=threads)
    return [frame for segment in video.segments for frame in video.read(segment, damage)], damage


@pytest.fixture(scope="module", params=["b_frames", "no_b_frames"])
def clip(request, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """900 frames. Without B-frames, H.264 derives the order of pictures from what a hole takes away."""
    options = {"g": "60", "preset": "ultrafast", "qp": "20"}
    options |= {"bf": "2"} if request.param == "b_frames" else {"tune": "zerolatency"}
    path = tmp_path_factory.mktemp("whole") / "whole.mp4"
    return write_video(path, 900, (128, 96), options=options)


@pytest.mark.parametrize("seed", [None, 0, 1])
def test_six_holes_in_900_frames_leave_98_percent_and_every_other_frame_is_listed(
    clip: Path, tmp_path: Path, seed: int | None
) -> None:
    packets = packet_ranges(clip)
    size = clip.stat().st_size
    length = int(1.7 * size / 900)  # the share of 300 kB of a minute at 25 Mb/s
    places = random.Random(str(seed))
    starts = [size * (k + 1) // 7 + places.randrange(-size // 50, size // 50) for k in range(6)]
    holes = [(start, start + length) for start in starts]
    path = write_holes(clip, tmp_path / "holes.mp4", holes, seed)
    touched = {index for index, first, last in packets if any(first < b and last > a for a, b in holes)}

    frames, damage = read(path)
    lost = {one.frame for one in damage if one.lost}
    corrupt = {frame.index for frame in frames if frame.corrupt}
    assert len(frames) >= 0.98 * 900
    assert {frame.index for frame in frames} | lost == set(range(900))
    assert len(frames) + len(lost) == 900
    assert corrupt <= {one.frame for one in damage if not one.lost}
    assert touched <= {one.frame for one in damage}
    assert lost <= touched
    assert [one.frame for one in damage] == sorted(one.frame for one in damage)
    assert all(one.what and "\n" not in one.what for one in damage)

    whole, none = read(clip)
    assert none == []
    assert all(frame.pts_s == whole[frame.index].pts_s for frame in frames)
    assert all(one.pts_s == whole[one.frame].pts_s for one in damage)
    first = min(touched)
    assert all(np.array_equal(frame.image, whole[frame.index].image) for frame in frames if frame.index < first - 3)
    assert corrupt <= {frame.index for frame in frames if frame.suspect}
    assert {frame.index for frame in frames if frame.suspect} <= {one.frame for one in damage}
    assert all(np.array_equal(frame.image, whole[frame.index].image) for frame in frames if not frame.suspect)
    right = [frame for frame in frames if np.array_equal(frame.image, whole[frame.index].image)]
    assert sum(frame.suspect for frame in right) <= 0.05 * len(right)

    for threads in (1, 3):
        again, damage_again = read(path, threads)
        assert damage_again == damage
        assert all(np.array_equal(a.image, b.image) for a, b in zip(frames, again, strict=True))
    video = open_video(path, segment_frames=64)
    for segment in random.Random(str(seed)).sample(video.segments, 4):
        alone_damage: list[Damage] = []
        alone = list(video.read(segment, alone_damage))
        straight = [frame for frame in frames if segment.first <= frame.index < segment.stop]
        assert [frame.index for frame in alone] == [frame.index for frame in straight]
        assert all(np.array_equal(a.image, b.image) for a, b in zip(alone, straight, strict=True))
        assert alone_damage == [one for one in damage if segment.first <= one.frame < segment.stop]


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("clip.mkv", {}),
        ("clip.ts", {}),
        ("hevc.mp4", {"codec": "libx265", "options": {"x265-params": "keyint=12:log-level=none"}}),
        ("vp9.webm", {"codec": "libvpx-vp9", "options": {"g": "12", "cpu-used": "8", "b": "900k"}}),
        ("mpeg4.avi", {"codec": "mpeg4", "options": {"g": "12", "b": "900k"}}),
        ("ffv1.mkv", {"codec": "ffv1"}),
        ("mjpeg.avi", {"codec": "mjpeg", "pixel_format": "yuvj420p"}),
    ],
)
@pytest.mark.parametrize("seed", [None, 1])
def test_damage_in_other_formats_is_reported_and_the_same_each_time(
    tmp_path: Path, name: str, settings: dict, seed: int | None
) -> None:
    settings = {"options": {"g": "12", "qp": "20"}, **settings}
    whole = write_video(tmp_path / name, 60, (192, 128), **settings)
    size = whole.stat().st_size
    path = write_holes(whole, tmp_path / f"holes_{name}", [(size // 2, size // 2 + size // 12)], seed)
    frames, damage = read(path, segment_frames=10)
    assert damage
    assert 40 <= len(frames) < 61
    assert [frame.index for frame in frames] == sorted({frame.index for frame in frames})
    for threads in (1, 3):
        again, damage_again = read(path, threads, segment_frames=10)
        assert damage_again == damage
        assert all(np.array_equal(a.image, b.image) for a, b in zip(frames, again, strict=True))


def test_a_broken_key_frame_costs_no_more_than_itself(tmp_path: Path) -> None:
    options = {"x264-params": "keyint=20:min-keyint=20:scenecut=0:bframes=0"}
    whole = write_video(tmp_path / "whole.mp4", 80, options=options)
    first, last = next((a, b) for index, a, b in packet_ranges(whole) if index == 40)
    for start in (first, first + 6, first + 200):
        path = write_holes(whole, tmp_path / "broken.mp4", [(start, last)], seed=2)
        frames, damage = read(path, segment_frames=20)
        assert len(frames) >= 79
        assert {one.frame for one in damage if one.lost} <= {40}
        assert 40 in {one.frame for one in damage}


def test_a_file_cut_short_is_damage_not_an_error(tmp_path: Path) -> None:
    options = {"g": "12"}
    whole = write_video(tmp_path / "whole.mp4", 60, options=options, container_options={"movflags": "faststart"})
    expected, _ = read(whole)
    path = tmp_path / "cut.mp4"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    frames, damage = read(path)
    lost = [one for one in damage if one.lost]
    assert len(frames) + len(lost) == 60
    assert len(frames) > 25
    assert all(abs(frame.pts_s - expected[frame.index].pts_s) < 1e-9 for frame in frames)
    assert all(abs(one.pts_s - expected[one.frame].pts_s) < 1e-9 for one in lost)
    assert "cut short" in lost[-1].what


@pytest.mark.parametrize("suffix", ["mkv", "ts", "avi"])
def test_other_files_cut_short(tmp_path: Path, suffix: str) -> None:
    whole = write_video(tmp_path / f"whole.{suffix}", 60, codec="mpeg4", options={"g": "12"})
    path = tmp_path / f"cut.{suffix}"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    frames, damage = read(path)
    assert 10 <= len(frames) < 60
    if suffix == "mkv":
        assert "the header promises 2.40 s" in damage[-1].what
