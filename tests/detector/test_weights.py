import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from detector.architectures import build
from detector.checkpoint import load_checkpoint, load_into, load_torchvision, save_checkpoint
from detector.config import DetectorConfig, Resize
from detector.errors import DetectorError
from detector.predictor import Predictor
from detector.presets import ARCHITECTURES, TORCHVISION
from detector.weights import EMBEDDED, OFFLINE, resolve

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


def test_torchvisions_own_91_class_weights_find_persons_only(tmp_path):
    torch.manual_seed(2)
    model = build(TORCHVISION["fpn"], classes=91)
    path = tmp_path / "coco.pth"
    torch.save(model.state_dict(), path)
    predictor = Predictor.load(DetectorConfig(weights=str(path), floor=0.0, resize=Resize(width=128, height=128)))
    import numpy as np

    image = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    (found,) = predictor.predict([predictor.preprocess(image)])
    (raw,) = predictor._model([predictor.preprocess(image).tensor])
    assert len(found) == int((raw["labels"] == 1).sum())
