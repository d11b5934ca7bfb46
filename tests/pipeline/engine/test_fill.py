"""Segments filled in any order, in other processes, end with the bytes of one pass; a lost part is noticed."""

import pickle
import random
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from detector.config import DetectorConfig, Resize
from detector.models.weights import source_of
from detector.records import Detections
from pipeline.chain.table import APPEARANCE, CROPS, TRACKS
from pipeline.config.models import FlightConfig, FramesConfig
from pipeline.engine.fill import Work, fill
from pipeline.engine.progress import progress_bar
from pipeline.engine.segment_stage import SegmentStage
from pipeline.errors import PipelineError
from pipeline.run.flight import describe, load_detector, run_stages
from pipeline.simulate import simulate_flight
from pipeline.stages.appearance import AppearanceStage
from pipeline.stages.crops import CropsStage
from pipeline.stages.detect import DetectStage
from pipeline.video import open_video
from pipeline.workspace.folders import open_flight

SMALL = DetectorConfig(weights="embedded", resize=Resize(width=160, height=160), floor=0.02, threshold=0.3)
_FILL = """
import pickle, sys
from pipeline.engine.fill import fill
work, numbers = pickle.load(sys.stdin.buffer)
fill(work, [work.video.segments[number] for number in numbers], lambda count: None)
"""


def config(workspace):
    return FlightConfig(workspace=workspace, detector=SMALL, frames=FramesConfig(segment_frames=4))


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("flight") / "flight01.mp4"
    simulate_flight(path, people=5, seconds=4, seed=5, size=(320, 180), fps=4, altitude=12)
    return path


@pytest.fixture(scope="module")
def one_pass(video, tmp_path_factory):
    workspace = tmp_path_factory.mktemp("one_pass")
    run_stages(config(workspace), video, APPEARANCE, progress_bar)
    return contents(workspace)


def contents(workspace):
    files = [path for path in workspace.rglob("*") if path.suffix in (".parquet", ".jpg") and path.is_file()]
    return {path.relative_to(workspace).as_posix(): path.read_bytes() for path in files}


def work_on(video, flight, settings):
    stages = tuple(stage for stage in describe(settings, flight, APPEARANCE) if isinstance(stage, SegmentStage))
    (detect,) = (stage for stage in stages if isinstance(stage, DetectStage))
    return Work(
        open_video(video, segment_frames=4), stages, partial(load_detector, SMALL, source_of(SMALL)), detect.stored
    )


def test_segments_in_any_order_and_twice_give_the_bytes_of_one_pass(video, one_pass, tmp_path):
    settings = config(tmp_path)
    with open_flight(tmp_path, video) as flight:
        work = work_on(video, flight, settings)
        order = [*work.video.segments, work.video.segments[0]]
        random.Random(1).shuffle(order)
        assert len(order) >= 4
        for segment in order:
            fill(work, [segment], lambda count: None)
    results = run_stages(settings, video, APPEARANCE, progress_bar)
    assert [result.stage for result in results if result.skipped] == []  # finished by this run, filled before
    assert contents(tmp_path) == one_pass


def test_another_process_fills_what_it_is_sent(video, one_pass, tmp_path):
    settings = config(tmp_path)
    with open_flight(tmp_path, video) as flight:
        work = work_on(video, flight, settings)
        numbers = [segment.number for segment in work.video.segments]
        fill(work, work.video.segments[::2], lambda count: None)
        sent = pickle.dumps((work, numbers[1::2]))
        assert len(sent) < 100_000  # no frame and no network travels
        command = [
            sys.executable,
            "-c",
            f"import sys; sys.path.insert(0, {str(Path(__file__).parents[3])!r})\n{_FILL}",
        ]
        subprocess.run(command, input=sent, check=True, timeout=120)
    run_stages(settings, video, APPEARANCE, progress_bar)
    assert contents(tmp_path) == one_pass


def test_a_part_that_disappears_before_the_end_is_no_finished_stage(video, tmp_path, monkeypatch):
    settings = config(tmp_path)
    run_stages(settings, video, CROPS, progress_bar)
    parts = tmp_path / "flight01" / "detections" / "detections.parquet"
    (tmp_path / "flight01" / "detections" / "manifest.json").unlink()
    hidden = sorted(parts.glob("part-*"))[1]

    def lose_a_part(*arguments):
        fill(*arguments)
        shutil.move(hidden, tmp_path / "hidden")

    with monkeypatch.context() as patch:
        patch.setattr("pipeline.engine.single_pass.fill", lose_a_part)
        with pytest.raises(PipelineError, match=f"{hidden.name}: disappeared"):
            run_stages(settings, video, CROPS, progress_bar)
    assert not (tmp_path / "flight01" / "detections" / "manifest.json").exists()
    shutil.move(tmp_path / "hidden", hidden)
    results = {result.stage: result for result in run_stages(settings, video, TRACKS, progress_bar)}
    assert results["detect"].counts["boxes"] > 0


class Guesses:
    """A detector without a network: boxes by what the picture shows; its threads overtake each other."""

    runtime = "guesses"

    def __init__(self, batch_size=1, workers=1):
        self.batch_size, self.workers = batch_size, workers
        self._draw = random.Random(batch_size * 10 + workers)

    def preprocess(self, image):
        time.sleep(self._draw.uniform(0, 0.004))
        return image

    def predict(self, batch):
        time.sleep(self._draw.uniform(0, 0.004))
        return [self._boxes(image) for image in batch]

    def _boxes(self, image):
        seen = np.random.default_rng(int(image.astype(np.int64).sum()))
        corners = seen.uniform(0, 100, (5, 2))
        boxes = np.concatenate([corners, corners + seen.uniform(10, 60, (5, 2))], axis=1)
        return Detections(boxes.astype(np.float32), np.sort(seen.uniform(0.1, 1, 5))[::-1].astype(np.float32))


def filled(video, workspace, detector, advance=lambda count: None):
    """The contents after one call of `fill` over all segments."""
    with open_flight(workspace, video) as flight:
        work = replace(work_on(video, flight, config(workspace)), load_detector=lambda: detector)
        for stage in work.stages:
            stage.folder.begin()
        fill(work, work.video.segments, advance)
    return contents(workspace)


def one_after_the_other(items, functions, depth):
    for item in items:
        for function in functions:
            function(item)


@pytest.fixture(scope="module")
def in_one_thread(video, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.engine.fill.fan_out", one_after_the_other)
        patch.setattr("pipeline.engine.steps.ordered_map", lambda function, items, *_: map(function, items))
        return filled(video, tmp_path_factory.mktemp("one_thread"), Guesses())


@pytest.mark.parametrize(("preparing", "batch", "workers"), [(1, 1, 1), (2, 3, 1), (5, 1, 4), (8, 16, 2)])
def test_any_number_of_threads_writes_the_bytes_of_one(
    video, in_one_thread, tmp_path, monkeypatch, preparing, batch, workers
):
    monkeypatch.setattr("pipeline.engine.steps.cores", lambda: preparing)
    assert filled(video, tmp_path, Guesses(batch, workers)) == in_one_thread
    assert len([name for name in in_one_thread if name.endswith(".jpg")]) > 10


def test_an_error_in_a_writer_ends_the_pass_and_finished_segments_stand(
    video, in_one_thread, tmp_path, monkeypatch
):
    """Of two errors the first one is told, though the other comes sooner."""

    def fail_at(place, name, seconds):
        class Failing(stage_of[name].writer):
            def add(self, frame, detections):
                if frame.index == place:
                    time.sleep(seconds)
                    raise PipelineError(name)
                super().add(frame, detections)

        return Failing

    stage_of = {"appearance": AppearanceStage, "crops": CropsStage}
    before = threading.active_count()
    with monkeypatch.context() as patch:
        patch.setattr(AppearanceStage, "writer", fail_at(9, "appearance", 0.2))
        patch.setattr(CropsStage, "writer", fail_at(10, "crops", 0))
        with pytest.raises(PipelineError, match=r"^appearance$"):
            filled(video, tmp_path, Guesses())
    assert threading.active_count() == before
    parts = _finished(tmp_path, in_one_thread)
    assert parts["crops"] == parts["appearance"] == {0, 4}
    assert parts["detections"] >= {0, 4}  # those without an error may have finished the third segment
    assert filled(video, tmp_path, Guesses()) == in_one_thread


def test_an_interrupted_pass_leaves_finished_segments_and_nothing_else(video, in_one_thread, tmp_path):
    frames = iter(range(9))

    def advance(count):
        if count and next(frames, None) is None:  # in the third segment
            raise KeyboardInterrupt

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        filled(video, tmp_path, Guesses(), advance=advance)
    assert threading.active_count() == before
    parts = _finished(tmp_path, in_one_thread)
    assert parts["frames"] == {0, 4}
    assert len(parts) == 5
    assert all(each == parts["frames"] for each in parts.values())
    assert filled(video, tmp_path, Guesses()) == in_one_thread


def _finished(workspace, whole):
    """The first frames of the finished segments by stage; all that is there is whole."""
    found = contents(workspace)
    assert found == {name: data for name, data in whole.items() if name in found}
    assert not list(workspace.rglob(".part-*"))
    parts = {}
    for path in map(Path, found):
        if path.suffix == ".parquet":
            parts.setdefault(path.parts[1], set()).add(int(path.stem.removeprefix("part-")))
    assert {int(path.parent.name) for path in map(Path, found) if path.suffix == ".jpg"} == parts["crops"]
    return parts
