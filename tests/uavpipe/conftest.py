"""Two flights of bright squares, brought to their tracklets by `uavpipe.run`, and labelled."""

from contextlib import contextmanager

import cv2
import numpy as np
import pytest

import uavpipe
import uavpipe.detector
from annotate.operations import Mark
from tests.pipeline.relinking.squares import LANE, SquareDetector, label

FRAMES, PERSONS, JUNK = 12, 3, 2  # the third person is marked as junk


@contextmanager
def _squares():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.run.flight.load_predictor", lambda *_: SquareDetector(1))
        uavpipe.detector._loaded.cache_clear()
        yield
        uavpipe.detector._loaded.cache_clear()


@pytest.fixture
def squares():
    """The detector is one that finds the squares."""
    with _squares():
        yield


@pytest.fixture(scope="session")
def flown(tmp_path_factory):
    """The folder of the two videos, each a folder of images, and the run."""
    folder = tmp_path_factory.mktemp("squares")
    noise = np.random.default_rng(0).integers(0, 90, (PERSONS * LANE, 200, 3)).astype(np.uint8)
    for flight in ("f1", "f2"):
        (folder / flight).mkdir()
        for frame in range(FRAMES):
            picture = noise.copy()
            for person in range(PERSONS):
                left, top = 20 + 3 * frame, person * LANE + 10
                picture[top : top + 36, left : left + 18] = (40 * person, 255, 255 - 60 * person)
            cv2.imwrite(str(folder / flight / f"{frame:03d}.png"), picture)
    config = {
        "videos": [str(folder / "f1"), str(folder / "f2")],
        "workspace": str(folder / "runs"),
        "detector": {"weights": "embedded"},
        "frames": {"segment_frames": 8},
        "tracks": {"split_below": None},
    }
    with _squares():
        done = uavpipe.run(config, last="tracks")
    label(folder / "runs", {JUNK: Mark.JUNK}.items())
    return folder, done


@pytest.fixture(scope="session")
def folder(flown):
    return flown[0]


@pytest.fixture(scope="session")
def runs(folder):
    return uavpipe.open(folder / "runs")
