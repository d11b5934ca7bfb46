"""What of the detector's settings makes its stored detections stale."""

import logging
from pathlib import Path

import pytest

from detector.config import DetectorConfig
from pipeline.errors import PipelineError
from pipeline.stages.detect import DetectStage
from pipeline.video import Segment
from pipeline.workspace.folders import Flight

FLIGHT = Flight(Path("a.mp4"), Path("runs/a"), "0" * 64)
ONNX = {"backend": "onnx", "weights": "a.onnx"}


def fingerprint(**settings):
    return DetectStage.of(FLIGHT, {}, DetectorConfig(**settings), "1" * 64).fingerprint


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        ({}, {"onnx": {"layout": "yolox"}}, True),  # of a backend that is not used
        (ONNX, ONNX | {"onnx": {"layout": "yolox"}}, False),
        (ONNX, ONNX | {"onnx": {"persons": [0, 1]}}, False),
        (ONNX, ONNX | {"onnx": {"colours": "bgr"}}, False),
        (ONNX, ONNX | {"device": "cpu", "batch_size": 4, "threshold": 0.5, "weights": "moved.onnx"}, True),
    ],
)
def test_settings_that_change_the_result_make_it_stale(before, after, same):
    assert (fingerprint(**before) == fingerprint(**after)) == same


def test_what_was_stored_before_the_onnx_backend_came_is_up_to_date():
    stage = DetectStage.of(FLIGHT, {}, DetectorConfig(), "1" * 64)
    assert "onnx" not in stage.settings


AUTO = DetectorConfig()
SEGMENTS = [Segment(number, first, first + 8) for number, first in enumerate((0, 8))]


@pytest.fixture
def stage_on(tmp_path, monkeypatch):
    """Called with the machine's GPU or not, and settings: the stage as that machine describes it."""

    def on(gpu, **settings):
        monkeypatch.setattr("detector.precision.has_gpu", lambda: gpu)
        flight = Flight(Path("flight.mp4"), tmp_path / "flight", "0" * 64)
        return DetectStage.of(flight, {"video": "0"}, DetectorConfig(**settings), "1")

    return on


def fill(stage, *devices):
    stage.folder.begin()
    for segment, device in zip(SEGMENTS, devices, strict=False):
        with stage.writer(stage, segment) as writer:
            writer.runtime = device
            writer.finish(())


def finished(stage, *devices):
    fill(stage, *devices)
    stage.end(SEGMENTS, 1.0)
    return stage


def test_no_flight_is_half_in_fp32_and_half_in_fp16(stage_on):
    fill(stage_on(False), "cpu")
    stage_on(False).check_precision()
    assert stage_on(True, device="cpu").is_done(SEGMENTS[0])
    stage_on(True, device="cpu").check_precision()
    # What is there is taken; what is lacking is refused.
    there = stage_on(True)
    assert there.is_done(SEGMENTS[0])
    with pytest.raises(PipelineError, match="begun on another machine in fp32, and this one computes in fp16"):
        there.check_precision()
    # Where one is chosen, all of the flight is made in it.
    chosen = stage_on(True, precision="fp16")
    assert not chosen.is_done(SEGMENTS[0])
    chosen.check_precision()
    stage_on(True, precision="fp32").check_precision()


@pytest.mark.parametrize("gpu", [True, False])
def test_a_finished_flight_moves_between_machines(stage_on, gpu):
    made = finished(stage_on(gpu), "here", "here")
    assert stage_on(not gpu).is_current()
    assert stage_on(not gpu).fingerprint == made.fingerprint
    # Unless another precision is asked for, or other settings are.
    assert not stage_on(not gpu, precision="bf16").is_current()
    changed = stage_on(not gpu, floor=0.01)
    assert changed.settings["precision"] == ("auto" if gpu else "fp16")
    # What is damaged is not mended in another precision.
    made.tables[0].part(0).unlink()
    assert stage_on(not gpu).fingerprint != made.fingerprint


def test_a_workspace_from_before_precisions_were_recorded_stays_up_to_date(stage_on):
    before = stage_on(False)
    assert before.settings["precision"] == "auto"
    finished(before, "", "")
    assert stage_on(True).is_current()


def test_the_devices_are_recorded_and_a_mixture_is_noticed(stage_on, caplog):
    with caplog.at_level(logging.WARNING):
        one = finished(stage_on(True), "fp16 on A", "fp16 on A")
        assert not caplog.records
        assert one.folder.manifest()["versions"]["device"] == "fp16 on A"
        two = finished(stage_on(True), "fp16 on A", "fp16 on B")
    assert two.folder.manifest()["versions"]["device"] == "fp16 on A; fp16 on B"
    assert "in part computed by each of: fp16 on A; fp16 on B" in caplog.text
