import json

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from pipeline.cli import main


def run(*arguments):
    return CliRunner().invoke(main, ["detector", "evaluate", *map(str, arguments)])


@pytest.fixture
def annotations(tmp_path):
    """One image, two persons, an ignored one."""
    cv2.imwrite(str(tmp_path / "1.png"), np.full((120, 160, 3), 90, np.uint8))
    rows = [
        {"bbox": [10, 10, 10, 30], "iscrowd": 0, "original_category": 1},
        {"bbox": [60, 10, 10, 30], "iscrowd": 0, "original_category": 2},
        {"bbox": [90, 10, 10, 30], "iscrowd": 1, "original_category": 1},
    ]
    content = {
        "images": [{"id": 5, "file_name": "1.png", "width": 160, "height": 120}],
        "annotations": [{"id": n, "image_id": 5, "category_id": 1, **row} for n, row in enumerate(rows, start=1)],
        "categories": [{"id": 1, "name": "person"}],
    }
    path = tmp_path / "coco.json"
    path.write_text(json.dumps(content))
    return path


@pytest.fixture
def detections(tmp_path):
    rows = [([10, 10, 10, 30], 0.9), ([60, 10, 10, 30], 0.6), ([130, 80, 10, 30], 0.4)]
    path = tmp_path / "found.json"
    path.write_text(
        json.dumps([{"image_id": 5, "category_id": 1, "bbox": box, "score": score} for box, score in rows])
    )
    return path


def test_stored_detections_are_measured_without_a_model(annotations, detections, tmp_path):
    shown = run(annotations, "--detections", detections, "--out", tmp_path / "out")
    assert shown.exit_code == 0, shown.output
    assert "1 images, 2 persons, 3 detections" in shown.output
    lines = {line.split()[0]: line.split()[1:] for line in shown.output.splitlines() if line.strip()}
    assert lines["AP50"] == ["1.000", "0.667"]  # an ignored person lacks in VisDrone's recall
    assert lines["0.3"] == ["1.000", "0.667", "1.00"]
    assert lines["0.8"] == ["0.500", "1.000", "0.00"]
    assert lines["0.9–1.0"] == ["1", "0.900", "1.000"]
    assert lines["0.4–0.5"] == ["1", "0.400", "0.000"]
    # Off by 0.1, 0.4 and 0.4.
    assert "calibration error from score 0.1 up: 0.300" in shown.output
    assert "20–35 px" in shown.output
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"metrics.json", "curves.csv", "curves.png"}
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["visdrone"]["AP"] == pytest.approx(2 / 3)


def test_several_images_have_an_interval(annotations, detections, tmp_path):
    content = json.loads(annotations.read_text())
    content["images"] += [{"id": 6, "file_name": "2.png", "width": 160, "height": 120}]
    content["annotations"] += [{"id": 9, "image_id": 6, "category_id": 1, "bbox": [9, 9, 9, 29], "iscrowd": 0}]
    annotations.write_text(json.dumps(content))
    shown = run(annotations, "--detections", detections, "--out", tmp_path / "out")
    # Both images, or twice the one without a detection, or twice the one without a miss.
    assert "AP50 by COCO: 0.000 to 1.000 (95 %, resampling the images)" in shown.output
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["intervals"] == {"AP50": [0, 1]}


def test_a_plot_that_fails_takes_nothing_with_it(annotations, detections, tmp_path, monkeypatch, caplog):
    def fail(*_):
        raise RuntimeError("no font")

    monkeypatch.setattr("detector.evaluation.picture.plot", fail)
    shown = run(annotations, "--detections", detections, "--out", tmp_path / "out")
    assert shown.exit_code == 0, shown.output
    assert "not drawn (no font)" in caplog.text
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"metrics.json", "curves.csv"}


def test_what_a_model_found_is_measured_again(annotations, tmp_path):
    stored = tmp_path / "stored.json"
    first = run(annotations, tmp_path, "--weights", "embedded", "--set", "floor=0", "--save-detections", stored)
    assert first.exit_code == 0, first.output
    assert json.loads(stored.read_text())[0]["image_id"] == 5
    again = run(annotations, "--detections", stored)
    assert again.output.partition(" detections read")[2].partition("\n")[2] in first.output


def test_the_cap_is_cocos(annotations, detections):
    shown = run(annotations, "--detections", detections, "--cap", 1)
    assert "AR1            0.500     0.333" in shown.output
    assert shown.output.count("AR100") == 1


@pytest.mark.parametrize("extra", [[], ["images", "--detections", "found.json"]])
def test_either_a_model_or_detections(annotations, extra):
    shown = run(annotations, *extra)
    assert shown.exit_code == 2
    assert "give IMAGES to run a model, or --detections" in shown.output


def test_out_is_no_file(annotations, detections):
    shown = run(annotations, "--detections", detections, "--out", detections)
    assert shown.exit_code == 2
    assert "is a file" in shown.output


def test_detections_of_other_images(annotations, detections):
    detections.write_text(detections.read_text().replace('"image_id": 5', '"image_id": 6'))
    shown = run(annotations, "--detections", detections)
    assert shown.exit_code == 1
    assert "row 1 is of image 6, which the annotations do not list" in shown.output
