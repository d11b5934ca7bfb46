"""Results that nobody can use are announced."""

import pandas as pd
import pytest

from pipeline.config.models import TracksConfig, load_config
from pipeline.run.unusable import warn_of_gaps, warn_of_nothing, warn_of_standstill
from pipeline.workspace.stage import StageResult


def write_table(path, rows):
    path.mkdir(parents=True)
    rows.to_parquet(path / "part-00000000.parquet")


@pytest.mark.parametrize(("interval", "warned"), [(2.0, True), (0.8, True), (0.5, False), (0.04, False)])
def test_frames_farther_apart_than_a_tracklet_waits(tmp_path, caplog, interval, warned):
    times = [interval * number for number in range(5)]
    rows = pd.DataFrame({"frame": range(5), "pts_s": times, "lost": False, "suspect": False})
    write_table(tmp_path / "frames" / "frames.parquet", rows)
    warn_of_gaps(tmp_path, TracksConfig())
    assert bool(caplog.messages) is warned
    if warned:
        assert f"set it to {5 * interval:.3g} or more" in caplog.text
        caplog.clear()
        warn_of_gaps(tmp_path, TracksConfig(max_gap_s=5 * interval))
        assert caplog.messages == []


@pytest.mark.parametrize(
    ("frames", "shift", "walk", "warned"),
    [
        (20, 0.0, 0.0, True),
        (20, 0.008, 0.3, True),  # a repeated picture, encoded: its key frames differ a little
        (20, 0.008, 3.0, False),  # a tripod, and somebody who walks
        (20, 0.3, 0.0, False),  # a drone that hovers
        (20, None, 0.0, False),
        (9, 0.0, 0.0, False),
    ],
)
@pytest.mark.parametrize("people", [0, 1])
def test_a_flight_in_which_nothing_moves(tmp_path, caplog, frames, shift, walk, warned, people):
    x = [shift if shift is not None else 5.0 * (frame % 4 == 0) for frame in range(frames)]
    motion = pd.DataFrame({"frame": range(frames), "a": 1.0, "b": 0.0, "x": x, "c": 0.0, "d": 1.0, "y": 0.0})
    left = [10 + walk * frame for frame in range(frames)]
    box = {"x1": left, "y1": 5.0, "x2": [each + 9 for each in left], "y2": 25.0, "score": 0.9}
    boxes = pd.DataFrame({"frame": range(frames), "rank": 0, **box})
    write_table(tmp_path / "motion" / "motion.parquet", motion)
    write_table(tmp_path / "detections" / "detections.parquet", boxes[: frames * people])
    warn_of_standstill(tmp_path)
    assert not caplog.text  # neither stage is finished
    for stage in ("motion", "detections"):
        (tmp_path / stage / "manifest.json").touch()
    warn_of_standstill(tmp_path)
    assert ("neither the camera nor a person moves" in caplog.text) is (warned or (shift == 0.008 and not people))


def results(folder, *, boxes, crops, located=0, likely=0):
    counts = {"frames": 4} | ({"with_telemetry": located} if located else {})
    return [
        StageResult("frames", folder / "frames", counts, skipped=False),
        StageResult("detect", folder / "detections", {"boxes": boxes, "boxes_from_0.5": likely}, skipped=False),
        StageResult("crops", folder / "crops", {"crops": crops}, skipped=False),
    ]


def test_a_threshold_that_leaves_nothing_is_named(tmp_path, caplog):
    rows = pd.DataFrame({"score": [0.4, 0.61], "y1": [0.0, 5.0], "y2": [30.0, 45.0]})
    write_table(tmp_path / "detections" / "detections.parquet", rows)
    warn_of_nothing(results(tmp_path, boxes=2, crops=0), load_config(), tmp_path / "a.mp4")
    assert "detector.threshold is 0.8, their highest score 0.61" in caplog.text
    assert "crops.min_height is 16 px, their greatest height 40 px" in caplog.text


@pytest.mark.parametrize(("sure", "warned"), [(1, True), (4, False)])
def test_a_threshold_that_few_likely_persons_reach_is_named(tmp_path, caplog, sure, warned):
    rows = pd.DataFrame({"score": [0.9] * sure + [0.6] * (10 - sure) + [0.3] * 90, "y1": 0.0, "y2": 40.0})
    write_table(tmp_path / "detections" / "detections.parquet", rows)
    warn_of_nothing(results(tmp_path, boxes=100, crops=1, likely=10), load_config(), tmp_path / "a.mp4")
    assert ("of 10 detections with a score of 0.5 or more, 1 have detector.threshold, 0.8" in caplog.text) is warned


def test_nothing_detected_is_said(tmp_path, caplog):
    warn_of_nothing(results(tmp_path, boxes=0, crops=0), load_config(), tmp_path / "a.mp4")
    assert "a.mp4: no person was detected" in caplog.text


def test_a_person_height_without_telemetry_is_said(tmp_path, caplog):
    config = load_config(settings=["crops.person_m=[1, 2.4]", "camera.fov_deg=70"])
    warn_of_nothing(results(tmp_path, boxes=2, crops=2, located=4), config, tmp_path / "a.mp4")
    assert caplog.messages == []
    warn_of_nothing(results(tmp_path, boxes=2, crops=2), config, tmp_path / "a.mp4")
    assert "no frame has telemetry, so crops.person_m leaves no box out" in caplog.text
