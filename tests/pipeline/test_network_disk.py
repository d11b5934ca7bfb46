"""The whole chain on the disk of a network: without locks, or with metadata that is slow, coarse and unordered."""

import errno
import fcntl
import os
import time

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from annotate.log.store import LABELS, LabelStore
from pipeline.cli import main
from tests.pipeline.relinking.squares import LANE, SquareDetector, label

PERSONS, FRAMES = 3, 8
CLOCK_S = 2  # the steps of FAT's and of some servers' times
SETTINGS = ("frames.segment_frames=2", "tracks.split_below=null", "dataset.min_crops=1", "report.clip_s=1")


@pytest.fixture
def flights(tmp_path, monkeypatch):
    """Two folders of images, in which the same persons walk."""
    rng = np.random.default_rng(0)
    for flight in ("f1", "f2"):
        (tmp_path / flight).mkdir()
        for frame in range(FRAMES):
            image = np.full((PERSONS * LANE, 240, 3), 40, np.uint8)
            for person in range(PERSONS):
                left, top = 20 + 6 * frame, 10 + LANE * person
                image[top : top + 40, left : left + 20] = (60 * person, 200, 90)
                image[top : top + 40, left : left + 20] += rng.integers(0, 50, (40, 20, 3), np.uint8)
            cv2.imwrite(str(tmp_path / flight / f"{frame:03d}.png"), image)
    monkeypatch.setattr("pipeline.run.flight.load_predictor", lambda *_: SquareDetector(1))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*words, settings=SETTINGS):
    given = [word for setting in settings for word in ("--set", setting)]
    return CliRunner().invoke(main, [*words, *given])


def run(workspace, *words):
    return call("run", "f1", "f2", "--workspace", workspace, "--no-alert", *words)


def whole_chain(workspace):
    """Two shards, the run that finishes, labels, a data set, a report; gives tables and crops, and the labels."""
    steps = [
        run(workspace, "--shard", "2/2"),
        run(workspace, "--shard", "1/2"),
        run(workspace, "--until", "tracks"),
    ]
    label(workspace)
    steps += [run(workspace, "--until", "dataset"), call("report", "--workspace", workspace, settings=())]
    for step in steps:
        assert step.exit_code == 0, step.output
    assert (workspace / "report" / "index.html").exists()
    made = [*workspace.glob("f?/**/*.parquet"), *workspace.glob("[fd]*/**/*.jpg")]
    with LabelStore(workspace / LABELS, create=False) as store:
        files = {path.relative_to(workspace).as_posix(): path.read_bytes() for path in made if path.is_file()}
        return files, dict(store.state.labels)


def without_locks(monkeypatch):
    def flock(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)


def on_a_slow_server(monkeypatch):
    """No hard links, times in steps of two seconds, listings from behind, and each call takes its time."""

    def link(source, *_, **__):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM), source)

    def coarse(found):
        kind, (numbers, named) = found.__reduce__()
        times = {name: value // CLOCK_S * CLOCK_S for name, value in named.items() if name.endswith("time")}
        times |= {f"{name}_ns": int(value) * 10**9 for name, value in times.items()}
        return kind((*numbers[:7], *(number // CLOCK_S * CLOCK_S for number in numbers[7:])), {**named, **times})

    def slow(name, change=lambda found: found):
        call = getattr(os, name)

        def slowly(*arguments, **options):
            time.sleep(0.0002)
            return change(call(*arguments, **options))

        monkeypatch.setattr(os, name, slowly)

    monkeypatch.setattr(os, "link", link)
    for name in ("stat", "lstat", "fstat"):
        slow(name, coarse)
    slow("listdir", lambda found: sorted(found, reverse=True))
    slow("scandir", _Listing)
    for name in ("open", "mkdir", "rename", "replace", "unlink", "rmdir", "fsync"):
        slow(name)


class _Listing:
    """What `os.scandir` gives, from behind."""

    def __init__(self, found):
        with found:
            self._entries = iter(sorted(found, key=lambda entry: entry.name, reverse=True))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __iter__(self):
        return self

    def __next__(self):
        return next(self._entries)

    def close(self):
        self._entries = iter(())


def test_slow_coarse_and_unordered_metadata_change_nothing(flights, monkeypatch):
    expected, labels = whole_chain(flights / "plain")
    assert len(set(labels.values())) == PERSONS
    with monkeypatch.context() as disk:
        on_a_slow_server(disk)
        with pytest.raises(PermissionError):
            os.link("f1/000.png", "f1/link.png")
        found, again = whole_chain(flights / "slow")
    assert again == labels
    assert found.keys() == expected.keys()
    assert [name for name in found if found[name] != expected[name]] == []
    assert sum(name.startswith("dataset/") for name in found) == 2 * FRAMES * PERSONS


@pytest.mark.parametrize(("words", "lines"), [(["--shard", "1/2"], 1), (["--until", "tracks"], 2)])
def test_without_locks_a_line_for_each_flight_says_so(flights, monkeypatch, words, lines):
    without_locks(monkeypatch)
    found = run(flights / "runs", *words)
    assert found.exit_code == 1
    assert found.output.count("its file system has no file locks") == lines  # half the shards: one flight
    assert not list((flights / "runs").rglob("*.parquet"))
