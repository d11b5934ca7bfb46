import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torchvision import models

from reid.checkpoint import load_checkpoint, load_foreign, load_network, save_checkpoint
from reid.config import DistillationConfig, GlobalBranch, LossConfig, NetworkConfig, TrainConfig
from reid.errors import ReidError
from reid.network import Network
from reid.training.init_weights import initialise, weights_hash

SMALL = NetworkConfig(backbone="resnet18", global_branch=GlobalBranch(width=16, dimension=8))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    torch.manual_seed(1)
    network = Network(SMALL).eval()
    path = tmp_path_factory.mktemp("checkpoint") / "a.safetensors"
    save_checkpoint(path, network.state_dict(), network=SMALL, training={"iteration": 7})
    return network, path


def test_a_checkpoint_comes_back(trained):
    network, path = trained
    checkpoint = load_checkpoint(path)
    assert checkpoint.network == SMALL
    assert checkpoint.training == {"iteration": 7}
    images = torch.randint(0, 256, (2, 3, 64, 32)).to(torch.uint8)
    with torch.inference_mode():
        # Weights are stored as float16.
        torch.testing.assert_close(load_network(path)(images), network(images), rtol=1e-2, atol=1e-2)
    assert list(path.parent.iterdir()) == [path]


def test_what_is_no_checkpoint_is_one_line(tmp_path, trained):
    cases = {
        "torn": (trained[1].read_bytes()[:1000], "not a safetensors file, or a damaged one"),
        "text": (b"nothing of the kind", "not a safetensors file, or a damaged one"),
        "empty": (b"", "not a safetensors file, or a damaged one"),
        "a.pth": (b"text", r"weights of torch; expected a checkpoint .* --set init=.*a\.pth$"),
        "a.xml": (b"<net/>", "an exported model; expected a checkpoint of 'uavpipe reid train', or 'embedded'"),
    }
    for name, (content, complaint) in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ReidError, match=complaint):
            load_checkpoint(tmp_path / name)
    with pytest.raises(ReidError, match="no such checkpoint"):
        load_checkpoint(tmp_path / "missing.safetensors")
    save_file({"a": torch.zeros(2)}, tmp_path / "other.safetensors", metadata={"format": "pt"})
    with pytest.raises(ReidError, match="not a re-id network of uavpipe"):
        load_checkpoint(tmp_path / "other.safetensors")
    damaged = {"format": "uavpipe.reid.1", "network": '{"backbone": 3}', "training": "{}"}
    save_file({"a": torch.zeros(2)}, tmp_path / "damaged.safetensors", metadata=damaged)
    with pytest.raises(ReidError, match="description is damaged"):
        load_checkpoint(tmp_path / "damaged.safetensors")
    save_checkpoint(tmp_path / "other.safetensors", {"a": torch.zeros(2)}, network=SMALL, training={})
    with pytest.raises(ReidError, match="weights and description do not match"):
        load_network(tmp_path / "other.safetensors")


def test_weights_that_are_not_finite_are_refused(trained, tmp_path):
    state = trained[0].state_dict()
    state["backbone.trunk.conv1.weight"] = torch.full_like(state["backbone.trunk.conv1.weight"], torch.nan)
    save_checkpoint(tmp_path / "nan.safetensors", state, network=SMALL, training={})
    with pytest.raises(ReidError, match=r"conv1\.weight has values that are not finite"):
        load_network(tmp_path / "nan.safetensors")
    with pytest.raises(ReidError, match=r"conv1\.weight has values that are not finite"):
        initialise(Network(SMALL), str(tmp_path / "nan.safetensors"), heads=False)


def test_a_pickle_that_runs_code_is_refused(tmp_path):
    class Bomb:
        def __reduce__(self):
            return Path.touch, (tmp_path / "ran",)

    (tmp_path / "bomb.pth").write_bytes(pickle.dumps({"conv1.weight": Bomb()}))
    torch.save({"conv1.weight": Bomb()}, tmp_path / "bomb2.pth")
    for name in ("bomb.pth", "bomb2.pth"):
        with pytest.raises(ReidError, match="nothing in it was run"):
            load_foreign(tmp_path / name)
    assert not (tmp_path / "ran").exists()


def test_training_starts_from_a_source_stage(trained, tmp_path):
    source, _ = trained
    path32 = tmp_path / "b.safetensors"
    save_file(
        {name: value.contiguous() for name, value in source.state_dict().items()},
        path32,
        metadata={"format": "uavpipe.reid.1", "network": SMALL.model_dump_json(), "training": "{}"},
    )
    torch.manual_seed(2)
    network = Network(SMALL)
    line = initialise(network, str(path32), heads=False)
    assert weights_hash(network.backbone) == weights_hash(source.backbone)
    assert weights_hash(source.backbone)[:16] in line
    assert weights_hash(network.heads) != weights_hash(source.heads)
    initialise(network, str(path32), heads=True)
    assert weights_hash(network.heads) == weights_hash(source.heads)


@pytest.mark.parametrize("prefix", ["", "module.", "model.base."])
def test_training_starts_from_torchvisions_weights(prefix, tmp_path):
    torch.manual_seed(3)
    whole = models.resnet18()
    state = {prefix + name: value for name, value in whole.state_dict().items()}
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "whole.pth")
    network = Network(SMALL)
    initialise(network, str(tmp_path / "whole.pth"), heads=False)
    for name, value in network.backbone.trunk.state_dict().items():
        assert torch.equal(value, whole.state_dict()[name]), name


def test_a_download_is_announced_and_its_failure_is_one_line(tmp_path, monkeypatch, caplog):
    def nobody(*_, **__):
        raise OSError("no such host")

    monkeypatch.delenv("UAVPIPE_OFFLINE")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", nobody)
    with pytest.raises(ReidError, match=r"could not be downloaded \(no such host\); put that file into"):
        initialise(Network(SMALL), "imagenet", heads=False)
    assert "UAVPIPE_OFFLINE=1 prevents this" in caplog.text


def test_a_start_that_is_impossible_is_one_line(trained, tmp_path, monkeypatch):
    monkeypatch.setenv("UAVPIPE_OFFLINE", "1")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(ReidError, match="is not on this machine, and UAVPIPE_OFFLINE forbids"):
        initialise(Network(SMALL), "imagenet", heads=False)
    with pytest.raises(ReidError, match="'random' has no heads"):
        TrainConfig(init="random", init_heads=True).check_files()
    with pytest.raises(ReidError, match=r"teachers: none: no such file; expected checkpoints, ONNX or OpenVINO"):
        TrainConfig(init="random", loss=LossConfig(distillation=DistillationConfig())).check_files()
    complaint = (
        "init: runs/a/last.safetensors: no such file; expected a checkpoint, or one of 'imagenet', 'embedded', "
        "'random'; a training writes it: uavpipe reid train --config source --out runs/a …"
    )
    with pytest.raises(ReidError, match=f"^{complaint}$"):
        TrainConfig(init="runs/a/last.safetensors").check_files()
    other = Network(SMALL.model_copy(update={"backbone": "resnet34"}))
    with pytest.raises(ReidError, match=r"not the weights of a resnet34: of its \d+ tensors \d+ are missing"):
        initialise(other, str(trained[1]), heads=False)


def test_a_mobilenet_from_before_keeps_the_stride_that_it_was_trained_with(tmp_path):
    config = NetworkConfig(backbone="mobilenet_v2", last_stride=2, global_branch=None)
    described = config.model_dump(mode="json", exclude={"projection", "normalised"}) | {"last_stride": 1}
    metadata = {"format": "uavpipe.reid.1", "network": json.dumps(described), "training": "{}"}
    state = {name: value.contiguous() for name, value in Network(config).state_dict().items()}
    save_file(state, tmp_path / "before.safetensors", metadata=metadata)
    assert load_checkpoint(tmp_path / "before.safetensors").network == config
    maps = load_network(tmp_path / "before.safetensors").backbone.trunk(torch.zeros(1, 3, 64, 64))
    assert maps.shape[-2:] == (2, 2)
