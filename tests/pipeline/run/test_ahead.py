"""The next flight is hashed and scanned while the present one runs; what is told, and when, stays the same."""

import logging
import re
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from detector.config import DetectorConfig, Resize
from pipeline.chain.table import FRAMES
from pipeline.config.models import FlightConfig
from pipeline.engine.progress import progress_bar
from pipeline.run import ahead, flights
from pipeline.run.ahead import Ahead
from pipeline.run.flight import run_segment_stages
from pipeline.video import content_hash

TINY = DetectorConfig(weights="embedded", resize=Resize(width=64, height=64))


@pytest.fixture
def two(tmp_path, monkeypatch):
    """Two folders of images, of which the second one's opening gives a warning; the configuration of both."""
    monkeypatch.chdir(tmp_path)
    for flight in ("one", "two"):
        (tmp_path / flight).mkdir()
        for number in range(3):
            picture = np.random.default_rng(number).integers(0, 255, (90, 120, 3)).astype(np.uint8)
            cv2.imwrite(f"{flight}/{number}.jpg", picture)
    Path("two/raw.dng").write_bytes(b"no picture that is read")
    return config("one", "two")


def config(*videos):
    return FlightConfig(videos=list(map(Path, videos)), workspace=Path("runs"), detector=TINY)


class Noting(logging.Handler):
    """Notes what is told."""

    def __init__(self, told):
        super().__init__()
        self._told = told

    def emit(self, record):
        self._told.append(record.getMessage())


@pytest.fixture
def told():
    """Warnings and results, in their order."""
    lines = []
    handler, log = Noting(lines), logging.getLogger("uavpipe")
    log.addHandler(handler)
    yield lines
    log.removeHandler(handler)


def test_the_next_flight_is_read_once_while_the_present_one_runs(two, told, monkeypatch):
    read, scanned = [], threading.Event()

    def noted(plain, what):
        def call(parts, **how):
            read.append((what, parts[0].name, threading.current_thread() is threading.main_thread()))
            found = plain(parts, **how)
            if (what, parts[0].name) == ("scan", "two"):
                scanned.set()
            return found

        return call

    def pass_over(config, video, *arguments):
        assert video.name == "two" or scanned.wait(60), "the next flight waits for this one"
        return run_segment_stages(config, video, *arguments)

    monkeypatch.setattr(ahead, "content_hash", noted(ahead.content_hash, "hash"))
    monkeypatch.setattr(ahead, "open_video", noted(ahead.open_video, "scan"))
    monkeypatch.setattr(flights, "run_segment_stages", pass_over)
    assert flights.run_flights(two, progress_bar, lambda result: told.append(result.stage), FRAMES) == {}
    once = [("hash", "one", True), ("scan", "one", True), ("hash", "two", False), ("scan", "two", False)]
    assert sorted(read) == sorted(once)
    assert told[0] == told[2] == "frames"
    assert re.search(r"^two: .*the 3 images are the flight", told[1])  # no sooner than its turn
    assert len(told) == 3


def test_a_flight_that_cannot_be_read_is_told_in_its_turn(two, told):
    three = config("one", "no.mp4", "two")
    failed = flights.run_flights(three, progress_bar, lambda result: told.append(result.folder.parent.name), FRAMES)
    assert {path.name: why for path, why in failed.items()} == {
        "no.mp4": "no.mp4: no such video file or folder of images"
    }
    assert [line.split(":")[0] for line in told] == ["one", "two", "two"]


def test_a_flight_that_changed_since_is_read_again(two):
    reader = Ahead()
    reader.begin(two, Path("two"), FRAMES)
    parts = two.parts_of(Path("two"))
    before = reader.content_hash(parts)
    assert before == content_hash(parts)
    Path("two/2.jpg").unlink()
    assert reader.content_hash(parts) == content_hash(parts) != before
    assert reader.open_video(parts, segment_frames=256, image_fps=30.0).frame_count == 2
