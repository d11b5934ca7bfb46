"""The demo's configuration: what its report needs to have times of day, and maps."""

from contextlib import contextmanager
from datetime import timedelta
from itertools import pairwise

import numpy as np
import pandas as pd

from pipeline.run.demo import demo_config, simulate_flights, truth_of


def test_its_flights_follow_each_other_and_its_camera_is_the_simulator_s(tmp_path):
    @contextmanager
    def no_bar(_text, _whole):
        yield lambda _count: None

    videos = simulate_flights(tmp_path, people=2, seconds=1 / 30, progress=no_bar)
    config = demo_config(tmp_path, videos, iterations=2)
    starts = [config.clock_of(video)[0] for video in config.flights]
    assert [later - earlier for earlier, later in pairwise(starts)] == [timedelta(minutes=20)]
    assert all(start.tzinfo is not None for start in starts)
    for video in videos:
        camera = pd.read_csv(video.with_suffix(".camera.csv"))
        fov = np.degrees(2 * np.arctan(1920 / 2 / camera["focal_px"]))
        assert np.allclose(fov, config.camera.fov_deg)
        positions = pd.read_csv(video.with_suffix(".positions.csv"))
        assert positions["identity"].tolist() == [1, 2]  # in the picture or not
        assert truth_of(video).exists()
