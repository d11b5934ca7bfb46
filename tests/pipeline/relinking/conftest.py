"""A flight of bright squares, after `tracks`; its detector may have newer weights."""

import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from detector.models.weights import source_of
from pipeline.workspace.folders import open_flight
from tests.pipeline.relinking.squares import FRAMES, LANE, PERSONS, SHORT, SquareDetector, call


@pytest.fixture
def weights(monkeypatch):
    """`weights.append(2)`: a newer checkpoint is found from now on."""
    return find_squares(monkeypatch)


def find_squares(patch):
    versions = [1]

    def found(config):
        source = source_of(config)
        return source if versions[-1] == 1 else replace(source, sha256=f"version {versions[-1]}")

    patch.setattr("pipeline.run.flight.source_of", found)
    patch.setattr("pipeline.run.flight.load_predictor", lambda *_: SquareDetector(versions[-1]))
    return versions


@pytest.fixture(scope="session")
def flown(tmp_path_factory):
    """A folder with the pictures of a flight, and its workspace after `tracks`."""
    folder = tmp_path_factory.mktemp("squares")
    noise = np.random.default_rng(0).integers(0, 90, (PERSONS * LANE, 200, 3)).astype(np.uint8)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        find_squares(patch)
        (folder / "f1").mkdir()
        for frame in range(FRAMES):
            picture = noise.copy()
            for person in range(PERSONS):
                if person != SHORT or 9 <= frame < 15:
                    left, top = 20 + 3 * frame, person * LANE + 10
                    picture[top : top + 36, left : left + 18] = (40 * person, 255, 255 - 60 * person)
            cv2.imwrite(f"f1/{frame:03d}.png", picture)
        assert call("tracks").exit_code == 0
    return folder


@pytest.fixture
def flight(flown, tmp_path, weights, monkeypatch):
    """The flight's folder in its workspace, after `tracks`; the working directory is above."""
    shutil.copytree(flown, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    with open_flight(Path("runs"), Path("f1")):
        pass  # the card says that the video is here
    return tmp_path / "runs" / "f1"
