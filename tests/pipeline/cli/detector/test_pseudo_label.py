"""Annotations of flights by a detector."""

import json

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

import detector.backends.load
from detector.annotations.coco import read_coco
from detector.config import DataSource
from detector.records import Detections
from pipeline.cli import main


class Bright:
    """Finds the white square: surely, or in doubt where it is at the left."""

    batch_size = workers = 1

    def preprocess(self, image):
        return image

    def predict(self, batch):
        found = []
        for image in batch:
            ys, xs = np.nonzero(image.min(axis=2) > 250)
            box = [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
            found.append(Detections(np.array([box], np.float32), np.array([0.9 if box[0] else 0.3], np.float32)))
        return found


@pytest.fixture
def flights(tmp_path):
    """Two folders of six frames in which a square moves right by 10 px a frame."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for n in range(6):
            picture = np.zeros((60, 90, 3), np.uint8)
            picture[20:40, 10 * n : 10 * n + 10] = 255
            cv2.imwrite(str(tmp_path / name / f"{n}.png"), picture)
    return [tmp_path / "a", tmp_path / "b"]


def run(*arguments):
    return CliRunner().invoke(main, ["detector", "pseudo-label", *map(str, arguments)])


def test_each_nth_frame_is_annotated_ready_for_a_training(flights, tmp_path, monkeypatch):
    monkeypatch.setattr(detector.backends.load, "load_predictor", lambda config: Bright())
    out = tmp_path / "out"
    shown = run(*flights, "--out", out, "--every", 2)
    assert shown.exit_code == 0, shown.output
    assert "6 images of 2 clips, 4 persons, 2 regions to ignore" in shown.output
    read = read_coco(DataSource(annotations=out / "annotations.json", images=out))
    assert [image.path.relative_to(out).as_posix() for image in read] == [
        f"images/{name}/{n:07d}.jpg" for name in ("a", "b") for n in (0, 2, 4)
    ]
    assert [image.boxes.tolist() for image in read[:3]] == [[], [[20, 20, 30, 40]], [[40, 20, 50, 40]]]
    assert read[0].ignored.tolist() == [[0, 20, 10, 40]]
    look = cv2.imread(str(out / "look" / "a" / "0000002.jpg")).astype(int)
    assert look[19, 25, 1] > look[19, 25, [0, 2]].max() + 20  # a green line above the square
    assert {image["clip"] for image in json.loads((out / "annotations.json").read_text())["images"]} == {"a", "b"}


def test_what_cannot_be_is_refused_in_one_line(flights, tmp_path):
    (tmp_path / "sub").mkdir()
    flights[0].rename(tmp_path / "sub" / "b")
    shown = run(tmp_path / "sub" / "b", flights[1], "--out", tmp_path / "out")
    assert (shown.exit_code, "would be in the folder of" in shown.output) == (1, True)
    assert run(flights[1], "--out", tmp_path / "out", "--doubt", 0.9).exit_code == 2
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "annotations.json").write_text('{"mine": 1}')
    shown = run(flights[1], "--out", tmp_path / "out")
    assert "exists, and is no file that this command wrote" in shown.output
