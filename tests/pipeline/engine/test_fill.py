"""Segments filled in any order, in other processes, end with the bytes of one pass; a lost part is noticed."""

import pickle
import random
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from detector.config import DetectorConfig, Resize
from detector.models.weights import source_of
from pipeline.chain.table import APPEARANCE, CROPS, TRACKS
from pipeline.config.models import FlightConfig, FramesConfig
from pipeline.engine.fill import Work, fill
from pipeline.engine.progress import progress_bar
from pipeline.engine.segment_stage import SegmentStage
from pipeline.errors import PipelineError
from pipeline.run.flight import describe, load_detector, run_stages
from pipeline.simulate import simulate_flight
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
        for share in (numbers[::2], numbers[1::2]):
            sent = pickle.dumps((work, share))
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
