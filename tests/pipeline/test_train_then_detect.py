import hashlib
import json

import cv2
import numpy as np
from click.testing import CliRunner

from pipeline.cli import main


def run(*arguments):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result


def weights_of(workspace):
    manifest = json.loads((workspace / "flight" / "detections" / "manifest.json").read_text())
    return manifest["inputs"]["weights"]


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_visdrone_becomes_a_checkpoint_that_auto_finds(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("images", "annotations", "flight"):
        (tmp_path / folder).mkdir()
    for number in range(2):
        picture = np.random.default_rng(number).integers(0, 255, (120, 160, 3)).astype(np.uint8)
        for folder in ("images", "flight"):
            cv2.imwrite(f"{folder}/{number:04}.jpg", picture)
        (tmp_path / f"annotations/{number:04}.txt").write_text("20,30,16,40,1,1,0,0\n")
    run("detector", "convert-visdrone", ".", "--out", "train.json")
    (tmp_path / "tiny.yaml").write_text(
        "resize: {width: 96, height: 96}\n"
        "train: [{annotations: train.json, images: .}]\n"
        "augmentation: {crop: 64}\n"
        "iterations: 1\n"
        "batch_size: 2\n"
        "workers: 0\n"
    )
    train = ("detector", "train", "--config", "tiny.yaml", "--output")
    run(*train, "runs/a", "--weights", "weights/a.safetensors")
    run("detect", "flight")
    assert weights_of(tmp_path / "runs") == sha256(tmp_path / "weights" / "a.safetensors")

    run(*train, "runs/b", "--weights", "weights/b.safetensors", "--set", "seed=1")
    run("detect", "flight")
    newest = sha256(tmp_path / "weights" / "b.safetensors")
    assert weights_of(tmp_path / "runs") == newest != sha256(tmp_path / "weights" / "a.safetensors")
