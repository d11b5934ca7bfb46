"""Results that nobody can use are announced."""

import pandas as pd
import pytest

from pipeline.config.models import TracksConfig, load_config
from pipeline.run.unusable import warn_of_gaps, warn_of_nothing
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


def results(folder, *, boxes, crops, located=0):
    counts = {"frames": 4} | ({"with_telemetry": located} if located else {})
    return [
        StageResult("frames", folder / "frames", counts, skipped=False),
        StageResult("detect", folder / "detections", {"boxes": boxes}, skipped=False),
        StageResult("crops", folder / "crops", {"crops": crops}, skipped=False),
    ]


def test_a_threshold_that_leaves_nothing_is_named(tmp_path, caplog):
    rows = pd.DataFrame({"score": [0.4, 0.61], "y1": [0.0, 5.0], "y2": [30.0, 45.0]})
    write_table(tmp_path / "detections" / "detections.parquet", rows)
    warn_of_nothing(results(tmp_path, boxes=2, crops=0), load_config(), tmp_path / "a.mp4")
    assert "detector.threshold is 0.8, their highest score 0.61" in caplog.text
    assert "crops.min_height is 16 px, their greatest height 40 px" in caplog.text


def test_nothing_detected_is_said(tmp_path, caplog):
    warn_of_nothing(results(tmp_path, boxes=0, crops=0), load_config(), tmp_path / "a.mp4")
    assert "a.mp4: no person was detected" in caplog.text


def test_a_person_height_without_telemetry_is_said(tmp_path, caplog):
    config = load_config(settings=["crops.person_m=[1, 2.4]", "camera.fov_deg=70"])
    warn_of_nothing(results(tmp_path, boxes=2, crops=2, located=4), config, tmp_path / "a.mp4")
    assert caplog.messages == []
    warn_of_nothing(results(tmp_path, boxes=2, crops=2), config, tmp_path / "a.mp4")
    assert "no frame has telemetry, so crops.person_m leaves no box out" in caplog.text
