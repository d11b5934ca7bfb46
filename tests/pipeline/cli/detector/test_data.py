import json

import cv2
import numpy as np
import yaml
from click.testing import CliRunner

from detector.annotations.coco import read_coco
from detector.config import DataSource
from pipeline.cli import main


def run(*arguments):
    return CliRunner().invoke(main, ["detector", *map(str, arguments)])


def test_data_of_a_recipe_that_are_not_there_are_named_by_their_field(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown = run("train", "--config", "small", "--out", "out")
    assert shown.exit_code == 1
    assert shown.output.startswith(
        "uavpipe: small: train[0].annotations: data/stills/annotations.json: no such file"
    )
    (tmp_path / "mine.json").write_text("{}")
    own = ("--set", "train=[{annotations: mine.json, images: .}]")
    shown = run("train", "--config", "small", "--out", "out", *own)
    assert shown.output.startswith(
        "uavpipe: small: validation.annotations: data/validation/annotations.json: no such"
    )
    shown = run("train", "--config", "small", "--out", "out", *own, "--set", "validation=null")
    assert shown.output.startswith("uavpipe: mine.json: ")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.json"]


def test_the_terms_of_a_recipes_data_are_not_those_of_other_data(tmp_path, monkeypatch):
    configs = []
    monkeypatch.setattr("detector.training.train.train", lambda config, *_, **__: configs.append(config))
    monkeypatch.setattr("detector.annotations.coco.check_sources", lambda sources: ())
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.json").write_text("{}")
    train = ("train", "--config", "fpn", "--out", "out", "--set", "validation=null", "--set")
    mine = "train=[{annotations: mine.json, images: .}]"
    assert run(*train, mine).exit_code == 0
    assert run(*train, mine, "--set", "terms=my flights").exit_code == 0
    assert [config.terms for config in configs] == ["", "my flights"]


def test_the_command_divides_by_clip_and_training_reads_it(tmp_path):
    folder = tmp_path / "set"
    (folder / "annotations").mkdir(parents=True)
    (folder / "images").mkdir()
    for number in range(10):
        cv2.imwrite(str(folder / f"images/{number // 2}_{number}.jpg"), np.zeros((54, 96, 3), np.uint8))
        rows = "9,8,7,6,0,0,0,0\n10,20,5,8,1,1,0,1\n1,2,0,5,1,1,0,0\n"
        (folder / f"annotations/{number // 2}_{number}.txt").write_text(rows)
    out = tmp_path / "train.json"
    shown = run("convert-visdrone", folder, "--out", out, "--holdout", 0.2)
    assert shown.exit_code == 0, shown.output
    assert f"{out}: 8 images of 4 clips, 8 persons, 8 regions to ignore" in shown.output
    assert "30 rows read, 20 used, 10 left out (10 without area)" in shown.output
    assert f"validation: {{annotations: {tmp_path / 'train.holdout.json'}, images: {folder}}}" in shown.output
    train, held = (
        read_coco(DataSource(annotations=tmp_path / name, images=folder))
        for name in ("train.json", "train.holdout.json")
    )
    assert (len(train), len(held)) == (8, 2)
    clips = [{image.path.name.split("_")[0] for image in half} for half in (train, held)]
    assert not clips[0] & clips[1]
    np.testing.assert_array_equal(held[0].boxes, [[10, 20, 15, 28]])
    assert len(held[0].ignored) == 1


def test_yolo_by_command(tmp_path):
    for part in ("images", "labels"):
        (tmp_path / part).mkdir()
    cv2.imwrite(str(tmp_path / "images/a.png"), np.zeros((50, 200, 3), np.uint8))
    (tmp_path / "labels/a.txt").write_text("0 .5 .5 .1 .2\n1 .5 .5 .2 .2\n2 .5 .5 .3 .3\n")
    shown = run("convert-yolo", tmp_path, "--out", tmp_path / "a.json", "--person", 0, "--person", 1)
    assert shown.exit_code == 0, shown.output
    assert "1 images of 1 clips, 2 persons" in shown.output
    assert "3 rows read, 2 used, 1 left out (1 of class 2)" in shown.output


def test_names_that_tell_no_clips_are_remarked(tmp_path):
    for part in ("images", "labels"):
        (tmp_path / part).mkdir()
    for number in range(4):
        cv2.imwrite(str(tmp_path / f"images/{number}.png"), np.zeros((50, 200, 3), np.uint8))
        (tmp_path / f"labels/{number}.txt").write_text("0 .5 .5 .1 .2\n")
    shown = run("convert-yolo", tmp_path, "--out", tmp_path / "a.json", "--holdout", 0.25)
    assert "every image is a clip of its own" in shown.output
    assert "a.json: 3 images of 3 clips" in shown.output


def test_a_mistake_is_one_line(tmp_path):
    shown = run("convert-visdrone", tmp_path, "--out", tmp_path / "a.json")
    assert shown.exit_code == 1
    assert shown.output.startswith(f"uavpipe: {tmp_path}: no VisDrone data here")
    assert len(shown.output.splitlines()) == 1


def test_the_anchor_report_compares_the_presets_and_suggests(tmp_path):
    rows = [
        {"id": n, "image_id": 1, "category_id": 1, "bbox": [20 * n, 30, 4 + n % 5, 12 + n % 7]}
        for n in range(1, 40)
    ]
    content = {
        "images": [{"id": 1, "file_name": "gone.jpg", "width": 960, "height": 540}],
        "annotations": rows,
        "categories": [{"id": 1, "name": "person"}],
    }
    (tmp_path / "a.json").write_text(json.dumps(content))
    shown = run("anchors", tmp_path / "a.json", "--preset", "small", "--set", "anchor_ratios=[1, 2]")
    assert shown.exit_code == 0, shown.output
    assert "39 persons in 1 images, into 960×960 px" in shown.output
    for name in ("paper-c4", "fpn", "small, as set", "small, suggested"):
        assert f"\n{name} " in shown.output
    suggested = yaml.safe_load(shown.output.split("Suggested, for a recipe:")[1])
    assert np.shape(suggested["anchor_sizes"]) == (3, 2)
    assert len(suggested["anchor_ratios"]) == 2
