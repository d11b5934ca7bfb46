import numpy as np
import pandas as pd
import pytest

from detector.records import Detections
from pipeline.config.models import TracksConfig
from pipeline.stages.joining import join

FPS = 10
RED, BLUE = np.eye(4, dtype=np.float32)[:2]


class Flight:
    """Tables of a flight of 10 frames a second with persons of 20 x 50 px, seen from a camera that shifts."""

    def __init__(self, frames=100, camera=(0.0, 0.0)):
        self.camera = np.array(camera)
        self.motion = {
            frame: np.array([[1, 0, -camera[0]], [0, 1, -camera[1]]], np.float32) for frame in range(frames)
        }
        self.times = {frame: frame / FPS for frame in range(frames)}
        self.boxes = {frame: [] for frame in range(frames)}
        self.rows, self.looks = [], []

    def walk(self, tracklet, frames, start, speed, look=RED, height=50):
        """A tracklet over `frames`: on the ground at `start` in its first frame, `speed` px a frame."""
        for frame in frames:
            x, y = start + np.array(speed) * (frame - frames[0]) - self.camera * frame
            rank = len(self.boxes[frame])
            self.boxes[frame].append([x, y, x + 0.4 * height, y + height])
            self.rows.append((tracklet, frame, rank))
            self.looks.append((frame, rank, look))
        return self

    def joined(self, **settings):
        """The frames of each tracklet after joining."""
        detections = {
            frame: Detections(np.array(boxes, np.float32), np.full(len(boxes), 0.9, np.float32))
            for frame, boxes in self.boxes.items()
            if boxes
        }
        table = pd.DataFrame(self.rows, columns=["tracklet", "frame", "rank"])
        looks = pd.DataFrame(self.looks, columns=["frame", "rank", "look"])
        found = join(table, detections, self.motion, self.times, looks, TracksConfig(**settings))
        assert sorted(zip(found["frame"], found["rank"], strict=True)) == sorted(row[1:] for row in self.rows)
        assert sorted(found["tracklet"].unique()) == list(range(found["tracklet"].nunique()))
        return [(int(rows["frame"].min()), len(rows)) for _, rows in found.groupby("tracklet")]


def parted(gap=10, turn=0.0, look=RED, height=50, camera=(0.0, 0.0)):
    """A person who walks 8 px a frame to the right, is not seen for `gap` frames, and walks on."""
    onward = np.array([300.0 + 8 * (20 + gap), 200.0 + turn])
    flight = Flight(camera=camera).walk(0, range(20), np.array([300.0, 200.0]), (8, 0))
    return flight.walk(1, range(20 + gap, 40 + gap), onward, (8, 0), look, height)


def test_who_goes_on_behind_a_gap_is_one_tracklet():
    assert parted().joined() == [(0, 40)]


def test_the_camera_may_move_meanwhile():
    assert parted(camera=(30.0, -12.0)).joined() == [(0, 40)]
    flight = parted(camera=(30.0, -12.0))
    flight.motion = {}
    assert len(flight.joined()) == 2


@pytest.mark.parametrize(
    "other",
    [
        {"gap": 60},  # too long
        {"turn": 120.0},  # too far aside
        {"look": BLUE},
        {"height": 90},
    ],
)
def test_who_begins_too_late_elsewhere_or_looks_different_stays_apart(other):
    assert len(parted(**other).joined()) == 2


def test_nothing_is_joined_without_a_gap_to_join():
    assert len(parted().joined(join_gap_s=0)) == 2


def test_who_stops_in_the_gap_or_begins_to_walk_goes_on_too():
    start, stop = np.array([300.0, 200.0]), np.array([300.0 + 8 * 24, 200.0])
    assert Flight().walk(0, range(20), start, (8, 0)).walk(1, range(30, 50), stop, (0, 0)).joined() == [(0, 40)]
    assert Flight().walk(0, range(20), start, (0, 0)).walk(1, range(25, 45), start, (8, 0)).joined() == [(0, 40)]


def test_of_two_who_might_go_on_neither_is_taken():
    beside = np.array([548.0, 208.0])
    assert len(parted().walk(2, range(30, 50), beside, (8, 0)).joined()) == 3
    assert parted().walk(2, range(30, 50), beside, (8, 0), BLUE).joined() == [(0, 40), (30, 20)]


def test_of_two_who_might_have_gone_on_neither_is_taken():
    assert len(parted().walk(2, range(20), np.array([308.0, 208.0]), (8, 0)).joined()) == 3


def test_beside_a_person_who_is_similar_nothing_is_joined():
    beside = np.array([330.0, 200.0])
    assert len(parted().walk(2, range(50), beside, (8, 0)).joined()) == 3
    assert parted().walk(2, range(50), beside, (8, 0), BLUE).joined() == [(0, 40), (0, 50)]
    assert parted().walk(2, range(50), np.array([330.0, 500.0]), (8, 0)).joined() == [(0, 40), (0, 50)]


def test_tracklets_of_one_time_are_never_joined():
    # The second is seen from the first's last frame on, at its place.
    flight = Flight().walk(0, range(20), np.array([300.0, 200.0]), (0, 0))
    assert len(flight.walk(1, range(19, 40), np.array([300.0, 200.0]), (0, 0)).joined()) == 2


def test_three_in_a_row_are_one_though_the_first_and_the_third_would_fit_too():
    flight = Flight()
    for number, first in enumerate((0, 15, 30)):
        flight.walk(number, range(first, first + 10), np.array([300.0 + 2 * first, 200.0]), (2, 0))
    assert flight.joined(join_gap_s=3) == [(0, 30)]


def test_numbers_follow_the_begin():
    flight = parted().walk(2, range(5, 9), np.array([700.0, 500.0]), (0, 0))
    assert flight.joined() == [(0, 40), (5, 4)]
    assert Flight().joined() == []
