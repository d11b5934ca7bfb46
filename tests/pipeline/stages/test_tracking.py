import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.records import Detections
from pipeline.config.models import TracksConfig
from pipeline.stages.tracking import jumps, link, split_at_jumps

STILL = np.eye(2, 3, dtype=np.float32)


def flight(paths, frames, camera=(0.0, 0.0), score=0.9):
    """Detections of persons of 20 x 50 px on straight `paths` (x, y, dx, dy), seen from a camera that shifts."""
    detections = {}
    for frame in frames:
        at = [(x + dx * frame - camera[0] * frame, y + dy * frame - camera[1] * frame) for x, y, dx, dy in paths]
        boxes = np.array([[x, y, x + 20, y + 50] for x, y in at], np.float32).reshape(-1, 4)
        detections[frame] = Detections(boxes, np.full(len(boxes), score, np.float32))
    motion = {frame: STILL - np.array([[0, 0, camera[0]], [0, 0, camera[1]]], np.float32) for frame in frames}
    return detections, motion, {frame: frame / 30 for frame in frames}


def ranks_of(table):
    return [set(rows["rank"]) for _, rows in table.groupby("tracklet")]


@pytest.mark.parametrize("method", ["botsort", "bytetrack"])
def test_two_walkers_are_two_tracklets_from_their_first_frame(method):
    table = link(
        *flight([(100, 100, 2, 0), (300, 200, -2, 1)], range(30)), TracksConfig(method=method, new_track_score=0.6)
    )
    assert ranks_of(table) == [{0}, {1}]
    assert (table.groupby("tracklet").size() == 30).all()


def test_who_comes_later_has_his_first_detection_too():
    detections, motion, times = flight([(100, 100, 2, 0)], range(30))
    later, _, _ = flight([(100, 100, 2, 0), (300, 200, -2, 1)], range(10, 30))
    table = link(detections | later, motion, times, TracksConfig(new_track_score=0.6))
    assert table.groupby("tracklet").size().tolist() == [30, 20]


def test_a_fast_camera_is_followed_only_with_its_motion():
    # 25 px a frame is more than a person is wide: boxes of successive frames do not touch.
    detections, motion, times = flight([(600, 100, 1, 0), (700, 200, -1, 0)], range(20), camera=(25.0, 0.0))
    assert ranks_of(link(detections, motion, times, TracksConfig(new_track_score=0.6))) == [{0}, {1}]
    blind = link(detections, {}, times, TracksConfig(new_track_score=0.6))
    assert len(blind) < 40


@pytest.mark.parametrize("method", ["botsort", "bytetrack"])
def test_people_who_run_are_followed_at_five_frames_a_second(method):
    # 12 px a frame, of a width of 20: boxes share 8 / 32, which is less than the begin of a tracklet needs.
    detections, motion, _ = flight([(100, 100, 12, 0), (400, 130, -12, 0)], range(10))
    times = {frame: frame / 5 for frame in detections}
    table = link(detections, motion, times, TracksConfig(method=method, new_track_score=0.6))
    assert ranks_of(table) == [{0}, {1}]
    assert (table.groupby("tracklet").size() == 10).all()


def test_a_person_unseen_for_half_a_second_keeps_the_tracklet_and_for_two_does_not():
    detections, motion, times = flight([(100, 100, 1, 0)], range(100))
    short = {frame: found for frame, found in detections.items() if not 30 <= frame < 45}
    assert ranks_of(link(short, motion, times, TracksConfig(new_track_score=0.6))) == [{0}]
    long = {frame: found for frame, found in detections.items() if not 30 <= frame < 90}
    assert len(ranks_of(link(long, motion, times, TracksConfig(new_track_score=0.6)))) == 2


def test_weak_detections_prolong_but_do_not_begin():
    detections, motion, times = flight([(100, 100, 1, 0)], range(20))
    weak, _, _ = flight([(100, 100, 1, 0)], range(20, 40), score=0.3)
    times |= {frame: frame / 30 for frame in range(20, 40)}
    assert len(link(detections | weak, motion, times, TracksConfig(new_track_score=0.6))) == 40
    assert len(link(weak, motion, times, TracksConfig(new_track_score=0.6))) == 0


def test_an_empty_flight_has_no_tracklets():
    table = link({}, {}, {frame: frame / 30 for frame in range(5)}, TracksConfig(new_track_score=0.6))
    assert table.empty
    assert split_at_jumps(
        table, pd.DataFrame({"frame": [], "rank": [], "look": []}), TracksConfig(new_track_score=0.6)
    ).empty


A, B = np.eye(4, dtype=np.float32)[:2]


def test_a_change_of_looks_is_found_where_it_is():
    looks = np.stack([A] * 12 + [B] * 20 + [A] * 9)
    assert jumps(looks, window=8, split_below=0.8) == [12, 32]
    assert jumps(np.stack([A] * 40), window=8, split_below=0.8) == []


@given(st.integers(2, 60), st.integers(1, 12), st.integers(0, 2**31))
def test_noise_alone_is_no_change(length, window, seed):
    looks = np.abs(A + np.random.default_rng(seed).normal(0, 0.05, (length, 4))).astype(np.float32)
    assert jumps(looks / np.linalg.norm(looks, axis=1, keepdims=True), window, 0.8) == []


def test_a_tracklet_is_cut_numbered_anew_and_short_rests_go():
    rows = [(0, frame, 0) for frame in range(20)] + [(1, frame, 1) for frame in range(5)] + [(2, 3, 2), (2, 4, 2)]
    table = pd.DataFrame(rows, columns=["tracklet", "frame", "rank"])
    looks = [(frame, rank, A if rank or frame < 10 else B) for _, frame, rank in rows if frame != 4]
    cut = split_at_jumps(table, pd.DataFrame(looks, columns=["frame", "rank", "look"]), TracksConfig(min_length=3))
    assert [(those["frame"].min(), those["frame"].max()) for _, those in cut.groupby("tracklet")] == [
        (0, 9),
        (0, 4),
        (10, 19),
    ]
    whole = split_at_jumps(table, pd.DataFrame(), TracksConfig(min_length=1, split_below=None))
    assert whole.groupby("tracklet").size().tolist() == [20, 5, 2]
