"""The answers in `vectors` are detectron2's own; see `make.py` there."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from detector.backends.onnx_export import compare_onnx, export_onnx
from detector.backends.torchvision import Predictor
from detector.config import DetectorConfig
from detector.detectron2.import_weights import convert_detectron2, detectron2_preset
from detector.errors import DetectorError
from detector.models.header import read_header
from detector.models.presets import DETECTRON2
from detector.models.weights import source_of
from pipeline.cli import main
from tests.detector.detectron2.vectors.drawn import draw_picture, draw_weights

FLOOR = 0.085  # no score of a person in the vectors is near to it
VECTORS = Path(__file__).parent / "vectors"


class Vector:
    def __init__(self, name):
        stored = np.load(VECTORS / f"{name}.npz")
        self.config = VECTORS / f"{name}.yaml"
        self.shapes = {
            str(key): tuple(map(int, str(shape).split()))
            for key, shape in zip(stored["names"], stored["shapes"], strict=True)
        }
        self.boxes, self.scores, self.classes = stored["boxes"], stored["scores"], stored["classes"]

    def persons(self, classes):
        """Boxes and scores of `classes`, best first; of two that overlap by more than half the better one."""
        kept = []
        for index in np.flatnonzero(np.isin(self.classes, classes) & (self.scores > FLOOR)):
            if all(iou(self.boxes[index], self.boxes[other]) <= 0.5 for other in kept):
                kept.append(index)
        return self.boxes[kept], self.scores[kept]


def iou(a, b):
    common = np.prod(np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None))
    return common / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - common)


def write_pkl(path, weights):
    """As the model zoo's files: a pickle of arrays, of the kind that Python 2 could read."""
    with path.open("wb") as file:
        pickle.dump({"model": weights, "__author__": "test"}, file, protocol=2)


def write_pth(path, weights):
    """As detectron2's training writes it."""
    tensors = {name: torch.from_numpy(value) for name, value in weights.items()}
    torch.save({"model": tensors, "iteration": 9}, path)


# The pyramid is exported in tests/detector/backends, too; the other architecture is here alone.
@pytest.mark.parametrize(
    ("name", "persons", "write", "exported"), [("fpn", (17, 27), write_pkl, False), ("c4", (5, 4), write_pth, True)]
)
def test_an_imported_model_finds_what_detectron2_finds(name, persons, write, exported, tmp_path):
    vector = Vector(name)
    model, out = tmp_path / f"model.{write.__name__[-3:]}", tmp_path / "weights" / "ours.safetensors"
    write(model, draw_weights(vector.shapes))
    arguments = [
        "detector",
        "import-detectron2",
        str(model),
        "--out",
        str(out),
        "--config-file",
        str(vector.config),
    ]
    result = CliRunner().invoke(main, [*arguments, *(f"--person={number}" for number in persons)])
    assert result.exit_code == 0, result.output
    assert "person is " + " and ".join(map(str, persons)) in result.output
    predictor = Predictor.load(DetectorConfig(weights=str(out), device="cpu", floor=FLOOR))
    if exported:
        check_export(out, tmp_path / "ours.onnx")
    for path in (model, out):
        path.unlink()  # they are large
    (found,) = predictor.predict([predictor.preprocess(draw_picture())])
    boxes, scores = vector.persons(persons)
    assert len(boxes) > 10
    # px: float32 rounds otherwise on other CPUs, by up to 1.3e-3 on one without AVX-512
    np.testing.assert_allclose(found.boxes, boxes, rtol=0, atol=5e-3)
    np.testing.assert_allclose(found.scores, scores, rtol=0, atol=1e-5)


def check_export(weights, path):
    """The ONNX model finds what the checkpoint does, in pictures of other sizes than it was traced in."""
    config = DetectorConfig(weights=str(weights), device="cpu", floor=FLOOR)
    source = source_of(config)
    export_onnx(config, source, path)
    count, distance, gap = compare_onnx(path, config, source, [draw_picture(), draw_picture(350, 300)])
    path.unlink()
    assert count > 10
    assert distance < 1e-2  # px
    assert gap < 1e-4


@pytest.fixture(scope="module")
def c4():
    """R50-C4 of three classes, its tensors by detectron2's names."""
    shapes = Vector("c4").shapes
    predictor = "roi_heads.box_predictor"
    heads = {
        f"{predictor}.{layer}.{part}": (rows, 2048) if part == "weight" else (rows,)
        for layer, rows in (("cls_score", 4), ("bbox_pred", 12))
        for part in ("weight", "bias")
    }
    return {name: torch.from_numpy(value) for name, value in draw_weights(shapes | heads).items()}


def test_rows_of_the_head_become_background_persons_others(c4):
    found = convert_detectron2(c4, DETECTRON2["paper-c4"], persons=(2, 0))
    assert (found.classes, found.architecture.person_classes) == (4, 2)
    head = "roi_heads.box_predictor"
    torch.testing.assert_close(found.state[f"{head}.cls_score.bias"], c4[f"{head}.cls_score.bias"][[3, 2, 0, 1]])
    ours, theirs = found.state[f"{head}.bbox_pred.bias"], c4[f"{head}.bbox_pred.bias"]
    torch.testing.assert_close(ours, torch.cat([torch.zeros(4), theirs[8:12], theirs[0:4]]))


def test_what_stands_beside_a_box_detector_is_left_out(c4):
    beside = {
        "pixel_mean": torch.zeros(3, 1, 1),
        "proposal_generator.anchor_generator.cell_anchors.0": torch.zeros(15, 4),
        "roi_heads.mask_head.predictor.bias": torch.zeros(80),
        "backbone.stem.conv1.norm.num_batches_tracked": torch.tensor(0),
    }
    plain = convert_detectron2(c4, DETECTRON2["paper-c4"])
    found = convert_detectron2(c4 | beside, DETECTRON2["paper-c4"])
    assert found.state.keys() == plain.state.keys()


def test_norms_without_statistics_are_scale_and_shift(c4):
    bare = {name: value for name, value in c4.items() if "running" not in name}
    found = convert_detectron2(bare, DETECTRON2["paper-c4"])
    assert (found.state["backbone.body.layer2.0.downsample.1.running_mean"] == 0).all()
    assert (found.state["roi_heads.box_head.layer4.0.bn3.running_var"] == 1).all()


@pytest.mark.parametrize("persons", [(), (3,), (-1,), (0, 0)])
def test_classes_that_cannot_be_persons_are_named(c4, persons):
    with pytest.raises(DetectorError, match="its 3 classes are 0 to 2"):
        convert_detectron2(c4, DETECTRON2["paper-c4"], persons=persons)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"backbone.res4.6.conv1.weight": torch.zeros(256, 1024, 1, 1)}, "1 unknown"),  # as ResNet-101 has
        ({"backbone.stem.conv1.weight": torch.zeros(32, 3, 7, 7)}, "1 of another shape"),
        ({"roi_heads.box_predictor.bbox_pred.bias": torch.zeros(8)}, "no scores and boxes of the same classes"),
        ({"roi_heads.box_predictor.cls_score.bias": torch.full((4,), torch.nan)}, "not finite"),
    ],
)
def test_another_network_or_a_damaged_one_is_one_line(c4, change, expected):
    with pytest.raises(DetectorError, match=rf"model\.pkl: .*{expected}") as caught:
        convert_detectron2(c4 | change, DETECTRON2["paper-c4"], source="model.pkl")
    assert "\n" not in str(caught.value)


def test_no_faster_rcnn_is_said(c4):
    backbone = {name: value for name, value in c4.items() if name.startswith("backbone")}
    with pytest.raises(DetectorError, match=r"R-50\.pkl: not a Faster R-CNN"):
        detectron2_preset(backbone, "R-50.pkl")


def test_an_import_can_be_set_otherwise_and_says_so_in_its_header(c4, tmp_path):
    write_pth(tmp_path / "model.pth", {name: value.numpy() for name, value in c4.items()})
    out = tmp_path / "ours.safetensors"
    arguments = [str(tmp_path / "model.pth"), "--out", str(out), "--set", "resize.short_side=1200"]
    result = CliRunner().invoke(main, ["detector", "import-detectron2", *arguments])
    assert result.exit_code == 0, result.output
    header = read_header(out)
    for path in (tmp_path / "model.pth", out):
        path.unlink()
    assert header.classes == 4
    assert header.training["imported_from"] == "model.pth"
    assert header.terms == "those of model.pth and of its data"
    assert header.architecture.resize.size(1920, 1080) == (1333, 750)  # the long side's limit still holds
    assert header.architecture.resize.short_side == 1200
