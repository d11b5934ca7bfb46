"""A small network that is to have the features of larger ones."""

import numpy as np
import pytest
import torch

from reid.checkpoint import save_checkpoint
from reid.config import DistillationConfig, NetworkConfig, TrainConfig
from reid.embedder import Embedder
from reid.errors import ReidError
from reid.network import Network
from reid.training.distillation import TARGETS_FILE, read_targets, reduced, unit
from reid.training.train import train
from tests.reid.training.test_train import losses, make_data

TEACHER = NetworkConfig(backbone="squeezenet1_1", height=64, width=32, global_branch=None)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp("bars") / "data")


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    """A network that was never trained, as good a teacher as any."""
    path = tmp_path_factory.mktemp("teacher") / "teacher.safetensors"
    torch.manual_seed(3)
    save_checkpoint(path, Network(TEACHER).state_dict(), network=TEACHER, training={})
    return path


def test_fewer_numbers_keep_the_inner_products_that_they_can():
    rng = np.random.default_rng(0)
    features = unit(rng.normal(size=(50, 4)).astype(np.float32) @ rng.normal(size=(4, 30)).astype(np.float32))
    for dimension in (4, 40):
        assert np.allclose(np.square(reduced(features, dimension)).sum(1), 1)
        assert np.allclose(
            reduced(features, dimension) @ reduced(features, dimension).T, features @ features.T, atol=1e-5
        )
    kept = features @ np.linalg.svd(features)[2][:2].T  # of two numbers none keeps more
    assert np.allclose(reduced(features, 2) @ reduced(features, 2).T, unit(kept) @ unit(kept).T, atol=1e-4)


def test_targets_are_the_teachers_features_and_kept(data, teacher, tmp_path):
    config = DistillationConfig(teachers=(teacher, teacher))
    paths = data.train.paths
    said = []
    targets = read_targets(tmp_path, config, paths, 64, said.append).numpy()
    assert said[-1] == "teacher: 40 of 40 images"
    features = unit(Embedder.load(teacher).embed_files(paths, flip=True))
    assert targets.shape == (40, 64)
    assert np.allclose(targets @ targets.T, features @ features.T, atol=1e-3)
    assert np.array_equal(
        read_targets(tmp_path, DistillationConfig(teachers=("gone",)), paths, 64).numpy(), targets
    )
    with pytest.raises(ReidError, match=r"targets\.npy: has \(40, 64\), not \(40, 32\); remove it"):
        read_targets(tmp_path, config, paths, 32)
    (tmp_path / TARGETS_FILE).write_bytes(b"\x93NUMPY torn")
    with pytest.raises(ReidError, match=r"targets\.npy: damaged \(.*\); remove it, and run again"):
        read_targets(tmp_path, config, paths, 64)


def test_a_training_on_the_cpu_has_its_teachers_there(data, teacher, tmp_path, monkeypatch):
    asked = []
    load = Embedder.load
    monkeypatch.setattr(Embedder, "load", lambda path, device="auto": asked.append(device) or load(path, "cpu"))
    read_targets(tmp_path, DistillationConfig(teachers=(teacher,)), data.train.paths, 8, device="cpu")
    assert asked == ["cpu"]


def test_the_pupil_comes_nearer_to_the_teacher(data, teacher, tmp_path):
    settings = TrainConfig.model_validate(
        {
            "device": "cpu",
            "network": TEACHER.model_dump() | {"projection": 32, "height": 48, "width": 24},
            "loss": {"triplet": None, "distillation": {"teachers": [str(teacher)]}},
            "sampler": {"identities": 8, "images": 2},
            "augmentation": {"shrink": 0.2},
            "init": "random",
            "iterations": 60,
            "decay_from": 40,
            "learning_rate": 1e-3,
            "log_every": 1,
        }
    )
    train(settings, data, tmp_path)
    found = losses(tmp_path)
    assert np.mean(found[-5:]) < 0.6 * np.mean(found[:5])
