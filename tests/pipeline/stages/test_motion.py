import cv2
import numpy as np
import pandas as pd
import pytest

from detector.config import DetectorConfig, Resize
from pipeline.chain.table import MOTION
from pipeline.config.models import FlightConfig, FramesConfig
from pipeline.engine.progress import progress_bar
from pipeline.run.flight import run_stages
from pipeline.simulate import simulate_flight
from pipeline.stages.motion import FOLLOWED, Follower, read_cuts, read_motion, shrink

# The detector's part is made as small as it can be: these tests are about the camera.
TINY = DetectorConfig(weights="embedded", resize=Resize(width=64, height=64), floor=0.9, threshold=0.9)


def texture(width, height):
    rng = np.random.default_rng(4)
    noise = rng.integers(0, 256, (height // 4, width // 4), np.uint8)
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize(("angle", "zoom", "shift"), [(0, 1, (7.5, -3)), (2, 1.01, (0, 5)), (-1, 0.99, (-4, 2))])
def test_a_known_motion_is_found(angle, zoom, shift):
    picture = texture(640, 360)
    matrix = cv2.getRotationMatrix2D((320, 180), angle, zoom)
    matrix[:, 2] += shift
    follower = Follower(FOLLOWED)
    np.testing.assert_array_equal(follower.next(picture, 1.0), np.eye(2, 3))
    found = follower.next(cv2.warpAffine(picture, matrix, (640, 360)), 1.0)
    corners = np.array([[100, 80, 1], [540, 80, 1], [320, 300, 1]], float)
    np.testing.assert_allclose(corners @ found.T, corners @ matrix.T, atol=0.3)


def test_large_pictures_are_followed_small_and_answered_large():
    picture = cv2.cvtColor(texture(1920, 1080), cv2.COLOR_GRAY2RGB)
    moved = np.roll(picture, (12, 20), (0, 1))
    follower = Follower(FOLLOWED)
    small, scale = shrink(picture)
    assert small.shape == (540, 960)
    assert scale == 2
    follower.next(small, scale)
    np.testing.assert_allclose(follower.next(*shrink(moved)), [[1, 0, 20], [0, 1, 12]], atol=0.3)


def test_a_picture_without_texture_stands_still():
    follower = Follower(FOLLOWED)
    for _ in range(2):
        np.testing.assert_array_equal(follower.next(np.full((90, 160), 80, np.uint8), 1.0), np.eye(2, 3))


@pytest.fixture(scope="module")
def flight(tmp_path_factory):
    path = tmp_path_factory.mktemp("flight") / "flight01.mp4"
    simulate_flight(path, people=2, seconds=3, seed=3, size=(640, 360), fps=8, altitude=20)
    return path


def motion_of(flight, workspace, segment_frames):
    config = FlightConfig(workspace=workspace, detector=TINY, frames=FramesConfig(segment_frames=segment_frames))
    run_stages(config, flight, MOTION, progress_bar)
    return read_motion(workspace / "flight01" / "motion")


def test_segments_do_not_show_in_the_motion(flight, tmp_path):
    whole, parts = motion_of(flight, tmp_path / "whole", 100), motion_of(flight, tmp_path / "parts", 8)
    assert len(list((tmp_path / "parts" / "flight01" / "motion" / "motion.parquet").iterdir())) == 3
    assert list(whole) == list(range(24))
    for frame in whole:
        np.testing.assert_array_equal(whole[frame], parts[frame])


def test_the_motion_is_the_simulated_cameras(flight, tmp_path):
    motion = motion_of(flight, tmp_path, 100)
    truth = pd.read_csv(flight.with_suffix(".camera.csv"))
    middle = np.array([320, 180, 1.0])
    for row in truth.to_dict("records")[1:]:
        exact = np.array([[row[f"motion_{i}{j}"] for j in range(3)] for i in range(3)]) @ middle
        np.testing.assert_allclose(motion[row["frame"] - 1] @ middle, exact[:2] / exact[2], atol=1.5)


def parts_of(workspace):
    paths = (workspace / "flight01" / "motion").rglob("part-*.parquet")
    return {path.relative_to(workspace): path.read_bytes() for path in paths}


def test_what_an_earlier_version_followed_is_not_mixed_with_what_is_followed_now(flight, tmp_path, monkeypatch):
    now = motion_of(flight, tmp_path / "now", 8)
    with monkeypatch.context() as patch:
        patch.setattr("pipeline.stages.motion.FOLLOWED", {})  # as it was recorded, and done, before
        former = motion_of(flight, tmp_path / "former", 8)
    assert any((former[frame] != now[frame]).any() for frame in (8, 16))  # where two segments meet
    assert any((former[frame] != now[frame]).any() for frame in (4, 12, 20))
    before = parts_of(tmp_path / "former")

    again = motion_of(flight, tmp_path / "former", 8)
    assert all((former[frame] == again[frame]).all() for frame in former)  # finished: it is taken as it is
    (tmp_path / "former" / "flight01" / MOTION.output / "part-00000008.parquet").unlink()
    motion_of(flight, tmp_path / "former", 8)
    assert parts_of(tmp_path / "former") == before  # a part of it is made as it was

    (tmp_path / "former" / "flight01" / "motion" / "manifest.json").unlink()  # not finished: begun again
    motion_of(flight, tmp_path / "former", 8)
    assert parts_of(tmp_path / "former") == parts_of(tmp_path / "now") != before


def test_a_cut_between_segments_is_seen_in_their_outer_pictures(tmp_path):
    rng = np.random.default_rng(1)
    one, other = (cv2.resize(rng.integers(0, 256, (45, 80), np.uint8), (640, 360)) for _ in range(2))
    packed = [cv2.imencode(".png", picture)[1].tobytes() for picture in (one, other)]
    edges = [{"frame": 8 * place, "first": packed[at], "last": packed[at]} for place, at in enumerate((0, 0, 1, 1))]
    pd.DataFrame(edges).assign(scale=2.0).to_parquet(tmp_path / "edges.parquet")
    still = pd.DataFrame({"frame": range(32), "a": 1.0, "b": 0.0, "x": 0.0, "c": 0.0, "d": 1.0, "y": 0.0})
    still.to_parquet(tmp_path / "motion.parquet")  # as earlier versions wrote it
    assert read_cuts(tmp_path, read_motion(tmp_path)) == {16}
    still.assign(unlike=np.where(still["frame"] == 3, 0.9, 0.1)).to_parquet(tmp_path / "motion.parquet")
    assert read_cuts(tmp_path, read_motion(tmp_path)) == {3, 16}
