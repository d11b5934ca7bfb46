"""Calibration of a checkpoint by annotated images."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from detector.annotations.coco import read_coco
from detector.backends.load import load_predictor
from detector.config import DataSource, DetectorConfig
from detector.errors import DetectorError
from detector.evaluation.evaluate import detect
from detector.models.header import read_header
from pipeline.cli import main
from pipeline.simulate import render_stills

SMALL = ("--set", "resize.width=320", "--set", "resize.height=320")


@pytest.fixture(scope="module")
def stills(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stills")
    render_stills(folder, 4, seed=9, size=(640, 360))
    return folder


def run(*arguments):
    return CliRunner().invoke(main, ["detector", "calibrate", *map(str, arguments)])


def scores(weights, stills, **settings):
    source = DataSource(annotations=stills / "annotations.json", images=stills / "images")
    size = {"width": 320, "height": 320}
    config = DetectorConfig.model_validate({"weights": str(weights), "resize": size, "floor": 0.02, **settings})
    return detect(load_predictor(config), read_coco(source))


def test_the_order_stays_and_the_tiles_have_their_own_line(stills, tmp_path):
    data = ("--data", stills / "annotations.json", stills / "images")
    whole, tiled = tmp_path / "whole.safetensors", tmp_path / "tiled.safetensors"
    shown = run("embedded", *data, "--out", whole, *SMALL)
    assert shown.exit_code == 0, shown.output
    assert "calibrated with 4 images" in shown.output
    assert read_header(whole).training["calibration"]["images"] == 4
    assert read_header(whole).architecture.tile_scores is None
    line = read_header(whole).training["calibration"]
    for before, after in zip(scores("embedded", stills), scores(whole, stills), strict=True):
        count = min(len(before), len(after), 5)
        np.testing.assert_allclose(before.boxes[:count], after.boxes[:count], atol=1e-3)
        odds = np.log(before.scores[:count] / (1 - before.scores[:count]))
        expected = 1 / (1 + np.exp(-(line["slope"] * odds + line["offset"])))
        np.testing.assert_allclose(after.scores[:count], expected, atol=0.01)  # the layer is stored as float16

    tiles = {"size": 320}
    shown = run(whole, *data, "--out", tiled, *SMALL, "--set", "tiles.size=320")
    assert shown.exit_code == 0, shown.output
    # 640 px at half their size, tiles of 320 px at their own.
    assert read_header(tiled).architecture.tile_scores.enlargement == pytest.approx(2)
    pairs = zip(scores(whole, stills, tiles=tiles), scores(tiled, stills, tiles=tiles), strict=True)
    line = read_header(tiled).architecture.tile_scores
    for before, after in pairs:
        count = min(len(before), len(after), 5)
        np.testing.assert_allclose(line(before.scores[:count]), after.scores[:count], atol=1e-5)
    same = zip(scores(whole, stills), scores(tiled, stills), strict=True)
    assert all(np.array_equal(one.scores, other.scores) for one, other in same)


def test_only_checkpoints_are_calibrated(stills, tmp_path):
    (tmp_path / "a.pth").write_bytes(b"x")
    data = ("--data", stills / "annotations.json", stills / "images")
    shown = run(tmp_path / "a.pth", *data, "--out", tmp_path / "b.safetensors")
    assert (shown.exit_code, len(shown.stderr.splitlines())) == (1, 1)
    assert "expected a checkpoint" in shown.output


def test_a_training_calibrates_what_it_copies_to_the_weights(stills, tmp_path, caplog, monkeypatch):
    data = {"annotations": str(stills / "annotations.json"), "images": str(stills / "images")}
    recipe = {"preset": "small", "init": "embedded", "train": [data], "validation": data, "iterations": 1}
    recipe |= {
        "batch_size": 1,
        "rois_per_image": 8,
        "augmentation": {"crop": 64},
        "workers": 0,
        "learning_rate": 1e-9,
    }
    (tmp_path / "recipe.yaml").write_text(json.dumps(recipe | {"resize": {"width": 320, "height": 320}}))
    command = ["detector", "train", "--config", str(tmp_path / "recipe.yaml"), "--output", str(tmp_path / "run")]
    shown = CliRunner().invoke(main, [*command, "--weights", str(tmp_path / "mine.safetensors")])
    assert shown.exit_code == 0, shown.output
    assert read_header(tmp_path / "mine.safetensors").training["calibration"]["images"] == 4
    # Where the scores permit no calibration, the weights are there as they are.
    monkeypatch.setattr("detector.training.calibrate.fit", refuse)
    again = ["--output", str(tmp_path / "new"), "--weights", str(tmp_path / "raw.safetensors")]
    shown = CliRunner().invoke(main, [*command, *again])
    assert shown.exit_code == 0, shown.output
    assert "calibration" not in read_header(tmp_path / "raw.safetensors").training
    assert "its scores are not calibrated: 0 right" in caplog.text


def refuse(judged):
    raise DetectorError("0 right and 9 wrong detections: calibration needs both")
