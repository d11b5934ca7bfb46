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


class EachSquare(Bright):
    """Finds all bright squares; those in the lower half in doubt."""

    def predict(self, batch):
        (image,) = batch
        boxes = cv2.connectedComponentsWithStats((image.min(axis=2) > 128).astype(np.uint8))[2]
        found = boxes[1:, :4].astype(np.float32)
        found[:, 2:] += found[:, :2]
        scores = np.where(found[:, 1] < 30, 0.9, 0.3).astype(np.float32)
        order = np.argsort(-scores, kind="stable")
        return [Detections(found[order], scores[order])]


@pytest.fixture
def flickering(tmp_path):
    """A video of eight frames with a person above and a doubtful one below; in frame 4 alone one more of each."""
    path = tmp_path / "flight.avi"
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 20, (96, 64))
    for n in range(8):
        picture = np.zeros((64, 96, 3), np.uint8)
        for left, top in [(16 + n, 8), (16 + n, 40)] + ([(64, 8), (64, 40)] if n == 4 else []):
            picture[top : top + 16, left : left + 8] = 255
        video.write(picture)
    video.release()
    return path


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), "2 persons, 3 regions to ignore"),
        (("--near", 0), "3 persons, 3 regions to ignore"),
    ],
)
def test_what_is_in_one_frame_of_a_video_only_is_no_person(flickering, tmp_path, monkeypatch, options, expected):
    monkeypatch.setattr(detector.backends.load, "load_predictor", lambda config: EachSquare())
    shown = run(flickering, "--out", tmp_path / "out", "--every", 4, *options)
    assert shown.exit_code == 0, shown.output
    assert f"2 images of 1 clips, {expected}" in shown.output


def test_detectors_of_different_kinds_are_joined(flights, tmp_path):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from tests.detector.backends.onnx_models import write_model

    rows = np.array([[10, 10, 30, 40, 0.9, 0], [0, 0, 5, 5, 0.01, 0]], np.float32)[None]
    model = write_model(tmp_path / "other.onnx", {"output0": rows}, metadata={"names": "{0: 'person'}"})
    shown = run(flights[0], "--out", tmp_path / "out", "--every", 5, "--weights", model, "--weights", "embedded")
    assert shown.exit_code == 0, shown.output
    assert "2 images of 1 clips, 0 persons, 2 regions to ignore" in shown.output


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
