import io
import os
import pickle
import re
import urllib.error
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torchvision.models.detection import fasterrcnn_resnet50_fpn

from detector.backends.torchvision import Predictor
from detector.config import DetectorConfig, Resize
from detector.errors import DetectorError
from detector.models.checkpoint import (
    load_checkpoint,
    load_into,
    load_torchvision,
    person_only,
    save_checkpoint,
    with_anchors_of,
)
from detector.models.faster_rcnn import build
from detector.models.presets import ARCHITECTURES
from detector.models.public import COCO, OFFLINE
from detector.models.weights import EMBEDDED, _reachable, resolve

RULE = Resize(width=96, height=96)
SMALL = ARCHITECTURES["small"].model_copy(update={"resize": RULE})


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    monkeypatch.setenv(OFFLINE, "1")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "no-cache"))


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(1)
    return build(SMALL)


@pytest.fixture
def checkpoint(small, tmp_path):
    path = tmp_path / "mine.safetensors"
    save_checkpoint(path, small.state_dict(), architecture=SMALL, training={"by": "test"})
    return path


def test_what_is_saved_comes_back(small, checkpoint):
    loaded = load_checkpoint(checkpoint)
    assert (loaded.architecture, loaded.classes) == (SMALL, 2)
    for name, value in small.state_dict().items():
        torch.testing.assert_close(loaded.state[name], value, rtol=1e-3, atol=1e-4)  # stored as float16


def test_auto_prefers_the_folder_then_coco_then_the_embedded_model(checkpoint, tmp_path, monkeypatch):
    folder = tmp_path / "weights"
    embedded = resolve("auto", None, folder)
    assert embedded.path == EMBEDDED
    assert "embedded" in embedded.warning
    cached = tmp_path / "hub" / "checkpoints" / "fasterrcnn_resnet50_fpn_coco-258fb6c6.pth"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"weights")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert resolve("auto", None, folder).path == cached
    assert resolve("auto", "small", folder).path == EMBEDDED
    folder.mkdir()
    mine = checkpoint.rename(folder / "mine.safetensors")
    found = resolve("auto", None, folder)
    assert (found.path, found.warning) == (mine, None)
    assert resolve("auto", "fpn", folder).path == cached


def test_auto_passes_over_other_models_and_half_written_files(checkpoint, tmp_path):
    folder = tmp_path / "weights"
    folder.mkdir()
    mine = checkpoint.rename(folder / "mine.safetensors")
    save_file({"a": torch.zeros(1)}, folder / "reid.safetensors", metadata={"format": "something else"})
    (folder / ".part-last.safetensors").write_bytes(b"half")
    for newer in (folder / "reid.safetensors", folder / ".part-last.safetensors"):
        os.utime(newer, (mine.stat().st_mtime + 9,) * 2)
    assert resolve("auto", None, folder).path == mine


@pytest.fixture
def asked(monkeypatch):
    """The addresses that are asked for weights, online; nobody answers."""
    addresses = []

    def nobody(request, **_):
        addresses.append(getattr(request, "full_url", request))
        raise urllib.error.URLError("no such host")

    monkeypatch.delenv(OFFLINE)
    monkeypatch.setattr("urllib.request.urlopen", nobody)
    _reachable.cache_clear()
    yield addresses
    _reachable.cache_clear()


def test_nobody_is_asked_for_weights_where_others_do(checkpoint, tmp_path, asked):
    folder = tmp_path / "weights"
    assert resolve("auto", "small", folder).path == EMBEDDED
    assert resolve("embedded", None, folder).path == EMBEDDED
    assert resolve("auto", None, folder, download=False).path == EMBEDDED
    folder.mkdir()
    mine = checkpoint.rename(folder / "mine.safetensors")
    assert resolve("auto", None, folder).path == resolve(str(mine), None).path == mine
    assert asked == []


def test_without_a_network_auto_takes_the_embedded_model(tmp_path, asked):
    assert resolve("auto", None, tmp_path).path == EMBEDDED
    assert asked == [COCO.url]
    with pytest.raises(DetectorError, match=r"and they could not be downloaded; copy https"):
        resolve("coco", None)


def test_offline_says_which_variable_prevents_a_download(asked, monkeypatch):
    monkeypatch.setenv(OFFLINE, "1")
    with pytest.raises(DetectorError, match=rf"not on this machine, and {OFFLINE} is set; copy https"):
        resolve("coco", None)
    assert asked == []


def test_a_download_is_announced_and_checked(tmp_path, asked, monkeypatch, caplog):
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: io.BytesIO(b"not the weights"))
    assert resolve("auto", None, tmp_path).path == EMBEDDED
    assert "160 MB" in caplog.text
    assert "UAVPIPE_OFFLINE=1 prevents this" in caplog.text
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_auto_does_not_pass_over_a_damaged_checkpoint(checkpoint, tmp_path):
    folder = tmp_path / "weights"
    folder.mkdir()
    torn = checkpoint.rename(folder / "torn.safetensors")
    torn.write_bytes(torn.read_bytes()[:500])
    with pytest.raises(DetectorError, match=r"torn\.safetensors: not a checkpoint, or a torn one"):
        resolve("auto", None, folder)


def test_the_checkpoints_anchors_win_over_the_presets(tmp_path):
    other = SMALL.model_copy(update={"anchor_sizes": ((5, 8), (13, 20), (30, 45))})
    path = tmp_path / "other.safetensors"
    save_checkpoint(path, build(other).state_dict(), architecture=other, training={})
    predictor = Predictor.load(DetectorConfig(weights=str(path), device="cpu"))
    assert predictor._model.rpn.anchor_generator.sizes == other.anchor_sizes


@pytest.mark.parametrize(
    "changes",
    [
        {"architecture": "{}"},
        {"architecture": '{"preset": "huge"}'},
        {"classes": "1"},
        {"classes": "many"},
        {"training": "[]"},
    ],
)
def test_a_description_that_makes_no_sense_is_refused(checkpoint, changes):
    with safe_open(checkpoint, "pt") as file:
        metadata = file.metadata()
    save_file(load_file(checkpoint), checkpoint, metadata=metadata | changes)
    with pytest.raises(DetectorError, match="its description is damaged"):
        resolve(str(checkpoint), None)


def test_weights_that_are_not_finite_are_refused(small, checkpoint):
    loaded = load_checkpoint(checkpoint)
    name = "backbone.body.conv1.weight"
    broken = {**loaded.state, name: torch.full_like(loaded.state[name], torch.nan)}
    with pytest.raises(DetectorError, match=rf"{name} has values that are not finite"):
        load_into(small, replace(loaded, state=broken), checkpoint)


def test_a_preset_without_weights_says_where_to_put_some(tmp_path):
    with pytest.raises(DetectorError, match="no weights for 'paper-c4': put a checkpoint into"):
        resolve("auto", "paper-c4", tmp_path)


def test_the_preset_must_be_the_checkpoints(checkpoint):
    with pytest.raises(DetectorError, match="weights of 'small', but the configuration says preset 'fpn'"):
        resolve(str(checkpoint), "fpn")


def test_the_embedded_model_is_small_and_loads():
    assert EMBEDDED.stat().st_size <= 16_000_000
    assert Predictor.load(DetectorConfig(weights="embedded", device="cpu"))


class _Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("save", [pickle.dump, lambda value, file: torch.save({"model": value}, file)])
def test_a_pickle_that_would_run_code_is_refused_unrun(tmp_path, save):
    path, trap = tmp_path / "evil.pth", tmp_path / "ran"
    with path.open("wb") as file:
        save(_Trap(trap), file)
    with pytest.raises(DetectorError, match=r"evil\.pth: not a checkpoint of plain tensors"):
        Predictor.load(DetectorConfig(weights=str(path)))
    assert not trap.exists()


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def _foreign(path: Path) -> None:
    save_file({"a": torch.zeros(1)}, path)


def _huge_header(path: Path) -> None:
    path.write_bytes((2**62).to_bytes(8, "little") + b"{}")


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (_cut, "damaged checkpoint"),
        (_foreign, "safetensors, but not a uavpipe detector"),
        (_huge_header, "not a checkpoint, or a torn one"),
        (lambda path: path.write_bytes(b""), "not a checkpoint, or a torn one"),
        (lambda path: path.unlink(), "no such checkpoint"),
    ],
)
def test_a_bad_checkpoint_is_one_line(checkpoint, damage, expected):
    damage(checkpoint)
    with pytest.raises(DetectorError, match=expected) as caught:
        Predictor.load(DetectorConfig(weights=str(checkpoint)))
    assert str(checkpoint) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_architecture_is_named(small, checkpoint, tmp_path):
    with pytest.raises(DetectorError, match="not the weights of 'small'"):
        load_into(build(ARCHITECTURES["fpn"]), load_checkpoint(checkpoint), checkpoint)
    state = load_file(checkpoint)
    path = tmp_path / "other.pth"
    torch.save(state, path)
    with pytest.raises(DetectorError, match="not the weights of 'fpn'"):
        load_into(build(ARCHITECTURES["fpn"]), load_torchvision(path, "fpn"), path)


@pytest.fixture(scope="module")
def coco(tmp_path_factory):
    """torchvision's own model with random weights, and its file under the names that its COCO file has."""
    torch.manual_seed(2)
    model = fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=91)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.weight.data.fill_(0.015)  # or random weights let the activations grow from stage to stage
            module.running_var.fill_(1e-3)  # small, so that a wrong eps shows
    model.roi_heads.box_predictor.cls_score.bias.data[1] = 2.0
    state = {name: value for name, value in model.state_dict().items() if "num_batches_tracked" not in name}
    old = {re.sub(r"(conv|blocks\.\d)(\.0)+\.(weight|bias)$", r"\1.\3", name): name for name in state}
    renamed = {
        before: now for before, now in old.items() if before != now and before.startswith(("rpn", "backbone.fpn"))
    }
    assert len(renamed) == 2 + 2 * 8
    path = tmp_path_factory.mktemp("coco") / "coco.pth"
    names = {now: before for before, now in renamed.items()}
    torch.save({names.get(name, name): value for name, value in state.items()}, path)
    return model.eval(), path


def test_torchvisions_coco_weights_find_the_persons_that_torchvision_finds(coco):
    model, path = coco
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eps = 0.0  # as torchvision does with its COCO weights
    model.roi_heads.score_thresh, model.roi_heads.detections_per_img = 0.0, 500
    image = np.random.default_rng(0).integers(0, 256, (192, 256, 3), np.uint8)
    tensor = torch.from_numpy(image).permute(2, 0, 1) / 255
    model.transform.min_size, model.transform.max_size = (192,), 256  # the image's own size
    with torch.inference_mode():
        (expected,) = model([tensor])
    person = expected["labels"] == 1
    assert person.sum() > 50
    rule = Resize(width=256, height=192)
    config = DetectorConfig(weights=str(path), device="cpu", floor=0.0, resize=rule, nms_iou=0.5)
    predictor = Predictor.load(config)
    (found,) = predictor.predict([predictor.preprocess(image)])
    np.testing.assert_allclose(found.scores, expected["scores"][person], atol=1e-5)
    # Random weights give nearly equal scores, whose order may turn on the last bit.
    apart = np.abs(found.boxes[:, None] - expected["boxes"][person].numpy()).max(axis=2)
    assert apart.min(axis=0).max() < 1e-2


def test_a_training_can_start_from_torchvisions_coco_weights(coco):
    model, path = coco
    person = model.roi_heads.box_predictor
    ours = build(ARCHITECTURES["fpn"])
    fresh = ours.rpn.head.cls_logits.weight.clone()
    load_into(ours, with_anchors_of(person_only(load_torchvision(path, "fpn")), ours), path)
    # Two sizes of anchors a place, where COCO's RPN knows one: that layer is learnt anew, all before it is there.
    torch.testing.assert_close(ours.rpn.head.cls_logits.weight, fresh)
    torch.testing.assert_close(ours.rpn.head.conv[0][0].weight, model.rpn.head.conv[0][0].weight)
    torch.testing.assert_close(ours.roi_heads.box_predictor.cls_score.weight, person.cls_score.weight[:2])
    torch.testing.assert_close(ours.roi_heads.box_predictor.bbox_pred.weight, person.bbox_pred.weight[:8])
