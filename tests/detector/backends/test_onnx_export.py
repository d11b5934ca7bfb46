"""The judge is ONNX Runtime; imported models are exported in detectron2/test_import_weights.py."""

import json

import numpy as np
import onnx
import pytest
from click.testing import CliRunner

from detector.backends.load import load_predictor
from detector.backends.onnx_export import compare_onnx, export_onnx
from detector.config import DetectorConfig, Resize
from detector.errors import DetectorError
from detector.models.weights import source_of
from pipeline.cli import main

onnxruntime = pytest.importorskip("onnxruntime")
CONFIG = DetectorConfig(weights="embedded", floor=0.01, resize=Resize(width=192, height=192))


def pictures(*sizes):
    rng = np.random.default_rng(5)
    return [np.asarray(rng.integers(0, 256, (height, width, 3)), np.uint8) for width, height in sizes]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("onnx") / "small.onnx"
    export_onnx(CONFIG, source_of(CONFIG), path)
    return path


def test_onnx_runtime_finds_what_torch_finds_at_every_size(model):
    seen = pictures((384, 216), (200, 300), (192, 192))
    count, distance, gap = compare_onnx(model, CONFIG, source_of(CONFIG), seen)
    assert count > 20
    assert distance < 1e-2  # px
    assert gap < 1e-4


def test_the_onnx_backend_finds_what_torch_finds(model):
    there = CONFIG.model_copy(update={"weights": str(model), "backend": "onnx"})
    theirs, ours = load_predictor(there), load_predictor(CONFIG)
    for image in pictures((384, 216)):
        (found,), (expected,) = (each.predict([each.preprocess(image)]) for each in (theirs, ours))
        assert len(expected) > 0
        np.testing.assert_allclose(found.boxes, expected.boxes, atol=0.05)
        np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)
    with pytest.raises(DetectorError, match=r"small\.onnx: exported with .*floor"):
        load_predictor(there.model_copy(update={"floor": 0.001}))


def test_a_model_of_other_answers_is_told_apart(model):
    less = CONFIG.model_copy(update={"floor": 0.3})
    with pytest.raises(DetectorError, match=r"small.onnx: finds \d+ persons where the checkpoint finds \d+"):
        compare_onnx(model, less, source_of(less), pictures((384, 216)))


def test_a_picture_without_persons_gives_no_boxes(tmp_path):
    sure = CONFIG.model_copy(update={"floor": 0.9})
    export_onnx(sure, source_of(sure), tmp_path / "sure.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "sure.onnx"))
    boxes, scores = session.run(None, {"image": np.zeros((1, 3, 100, 160), np.uint8)})
    assert boxes.shape == (0, 4)
    assert scores.shape == (0,)


def test_the_model_says_what_it_is(model):
    loaded = onnx.load(model)
    told = {entry.key: entry.value for entry in loaded.metadata_props}
    assert told["format"] == "uavpipe.detector.onnx.1"
    assert told["weights_sha256"] == source_of(CONFIG).sha256
    assert json.loads(told["answers"]) == {"floor": 0.01, "nms_iou": 0.5, "max_detections": 500}
    assert json.loads(told["architecture"])["preset"] == "small"


def test_by_the_command(tmp_path):
    arguments = ["detector", "export", "embedded", "--out", str(tmp_path / "x" / "small.onnx")]
    result = CliRunner().invoke(main, [*arguments, "--set", "resize={width: 320, height: 320}"])
    assert result.exit_code == 0, result.output
    assert "boxes as the checkpoint" in result.output
    assert [path.name for path in (tmp_path / "x").iterdir()] == ["small.onnx"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["embedded", "--out", "small.pt"], "ends in .onnx or .xml"),
        (["embedded", "--out", "small.onnx", "--calibrate", "flight.mp4"], "only OpenVINO has int8"),
        (["nowhere.safetensors", "--out", "small.onnx"], "nowhere.safetensors: no such checkpoint"),
        (["embedded", "--out", "small.onnx", "--set", "floor=7"], "floor"),
    ],
)
def test_mistakes_are_one_line(arguments, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["detector", "export", *arguments])
    assert result.exit_code != 0
    assert expected in result.output
    assert "Traceback" not in result.output
    assert not list(tmp_path.iterdir())
