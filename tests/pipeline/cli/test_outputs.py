"""No command writes over its input, or over a file that uavpipe did not write."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from annotate.exchange.coco import write_coco_tracks
from annotate.exchange.cvat import write_cvat
from annotate.exchange.mot import write_mot
from annotate.exchange.records import Clip, TrackBox
from annotate.log.text import write_log
from pipeline.cli import main
from pipeline.cli.outputs import writes
from reid.training.table1 import FIGURES, Table1Config, table


def run(*arguments):
    return CliRunner().invoke(main, [*map(str, arguments)])


@pytest.fixture
def folder(tmp_path):
    """A YOLO data set, annotations, a list of crops, a video: files of the user."""
    for part in ("images", "labels"):
        (tmp_path / part).mkdir()
    cv2.imwrite(str(tmp_path / "images/a.png"), np.zeros((50, 200, 3), np.uint8))
    (tmp_path / "labels/a.txt").write_text("0 .5 .5 .1 .2\n")
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": 200, "height": 50}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 30, 40]}],
        "categories": [{"id": 1, "name": "person"}],
    }
    (tmp_path / "coco.json").write_text(json.dumps(content))
    (tmp_path / "found.json").write_text("[]")
    (tmp_path / "crops.csv").write_text("path\nimages/a.png\n")
    (tmp_path / "notes.csv").write_text("mine\n")
    (tmp_path / "photo.png").write_bytes((tmp_path / "images/a.png").read_bytes())
    (tmp_path / "cvat.xml").write_text("<?xml version='1.0'?>\n<annotations>\n  <version>1.1</version>")
    for name in (
        "card.mp4",
        "notes.txt",
        "model.onnx",
        "model.safetensors",
        "model.xml",
        "notes.json",
        "mine.npy",
        "model.bin",
        "queries.parquet",
        "table1.csv",
        "table1.md",
    ):
        (tmp_path / name).write_bytes(b"of somebody")
    (tmp_path / "flight" / "detections").mkdir(parents=True)
    (tmp_path / "link.json").symlink_to(tmp_path / "coco.json")
    return tmp_path


_INPUT, _OTHER = "is read by this command, which would write over it", "no file that this command wrote"


@pytest.mark.parametrize(
    ("command", "kept", "expected"),
    [
        ("detector evaluate coco.json images --weights embedded --save-detections coco.json", "coco.json", _INPUT),
        ("detector evaluate coco.json images --weights embedded --save-detections link.json", "coco.json", _INPUT),
        ("detector evaluate coco.json images --save-detections notes.json", "notes.json", _OTHER),
        ("detector convert-yolo . --out notes.json", "notes.json", _OTHER),
        ("detector convert-yolo . --out coco.json", "coco.json", _OTHER),
        ("detector convert-visdrone . --out images", "images/a.png", "is a folder"),
        ("detector anchors coco.json --plot coco.json", "coco.json", _INPUT),
        ("detector anchors coco.json --plot photo.png", "photo.png", _OTHER),
        ("detector export model.safetensors --out model.onnx", "model.onnx", _OTHER),
        ("detector export embedded --out new.xml", "new.bin", None),
        ("detector export embedded --out model.xml", "model.xml", _OTHER),
        ("detector import-detectron2 model.safetensors --out model.safetensors", "model.safetensors", _INPUT),
        ("reid embed crops.csv --weights model.onnx --out crops.npy", "crops.csv", _INPUT),
        ("reid embed images --weights model.onnx --out notes.npy", "notes.csv", _OTHER),
        ("reid embed images --weights model.onnx --out mine.npy", "mine.npy", _OTHER),
        ("reid search images/a.png --data images --weights model.onnx --out images/a.png", "images/a.png", _INPUT),
        ("reid search images/a.png --data images --weights model.onnx --out photo.png", "photo.png", _OTHER),
        ("reid export model.onnx --out model.onnx", "model.onnx", _INPUT),
        ("reid transfer --weights a=model.onnx --data b=market:. --out notes.json", "notes.json", _OTHER),
        ("reid evaluate --weights model.onnx --data market:. --out .", "queries.parquet", _OTHER),
        ("reid table1 --config coco.json --output .", "table1.csv", _OTHER),
        ("reid table1 --config coco.json --output .", "table1.md", _OTHER),
        ("annotate export notes.txt", "notes.txt", _OTHER),
        ("annotate export notes.json", "notes.json", _OTHER),
        ("annotate export cvat.xml", "cvat.xml", _OTHER),
        ("simulate card.mp4 --seconds 1", "card.mp4", _OTHER),
        ("anonymize flight --blur-people --output card.mp4", "card.mp4", _OTHER),
    ],
)
def test_nothing_of_the_user_is_written_over(folder, monkeypatch, command, kept, expected):
    monkeypatch.chdir(folder)
    if expected is None:
        (folder / kept).write_bytes(b"of somebody")
        expected = "no file that this command wrote"
    before = (folder / kept).read_bytes()
    shown = run(*command.split())
    assert shown.exit_code == 1, shown.output
    assert expected in shown.output
    assert len(shown.output.splitlines()) == 1
    assert (folder / kept).read_bytes() == before


def test_exported_labels_are_written_again(tmp_path):
    clip = Clip("f", (TrackBox.from_size(0, 1, (1, 2, 3.5, 4), score=1e-7), TrackBox.from_size(1, 2, (1, 2, 3, 4))))
    write_mot(tmp_path / "a.txt", clip)
    write_mot(tmp_path / "empty.txt", replace(clip, boxes=()))
    write_cvat(tmp_path / "a.xml", clip)
    write_coco_tracks(tmp_path / "a.json", [clip])
    write_log(tmp_path / "a.jsonl", [])
    grid = {"from_source": {"loss": {"lgm": {}}, "network": {"group_branch": {}}}, "target": "a", "sources": {}}
    config = Table1Config.model_validate(grid | {"without_source": grid["from_source"]})
    (tmp_path / "table1.md").write_text(table(config, [], {}, dict.fromkeys(FIGURES, 0.5)))
    command = writes("out")(lambda out: out)
    for path in tmp_path.iterdir():
        assert command(out=path) == path


def test_what_a_command_wrote_is_written_again(folder, monkeypatch):
    monkeypatch.chdir(folder)
    for command in (
        "detector convert-yolo . --out new.json",
        "detector anchors coco.json --preset small --plot anchors.png",
        "detector evaluate coco.json --detections found.json --out figures",
    ):
        assert [run(*command.split()).exit_code for _ in range(2)] == [0, 0]


@pytest.mark.parametrize(("command", "description"), [("detector", "config.json"), ("reid", "run.json")])
def test_a_training_does_not_begin_among_others_files(folder, monkeypatch, command, description):
    monkeypatch.chdir(folder)
    (folder / "log.jsonl").write_text("mine")
    data = ("--data", "market:.") if command == "reid" else ()
    shown = run(command, "train", "--config", "coco.json", *data, "--output", ".")
    assert shown.exit_code == 1
    assert f"log.jsonl: exists, but no {description} of a training beside it" in shown.output
