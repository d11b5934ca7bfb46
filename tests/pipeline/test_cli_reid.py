import csv

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from pipeline.cli import main
from reid.checkpoint import save_checkpoint
from reid.config import NetworkConfig
from reid.network import Network


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    torch.manual_seed(0)
    config = NetworkConfig(backbone="squeezenet1_1", height=48, width=24, global_branch=None)
    save_checkpoint(folder / "a.safetensors", Network(config).state_dict(), network=config, training={})
    (folder / "crops").mkdir()
    for name in ("b", "a", "c"):
        picture = np.random.default_rng(ord(name)).integers(0, 256, (50, 20, 3), np.uint8)
        cv2.imwrite(str(folder / "crops" / f"{name}.png"), picture)
    return folder


def embed(*arguments):
    return CliRunner().invoke(main, ["reid", "embed", *map(str, arguments)])


def test_embed_writes_a_row_for_each_path(trained, tmp_path):
    weights = trained / "a.safetensors"
    result = embed(trained / "crops", "--weights", weights, "--out", tmp_path / "f.npy", "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert "3 features of length 512" in result.output
    features = np.load(tmp_path / "f.npy")
    assert features.shape == (3, 512)
    assert features.dtype == np.float32
    with (tmp_path / "f.csv").open(newline="") as file:
        assert [row["path"] for row in csv.DictReader(file)] == ["a.png", "b.png", "c.png"]
    (trained / "list.txt").write_text("crops/c.png\n")
    result = embed(trained / "list.txt", "--weights", weights, "--out", tmp_path / "g.npy", "--device", "cpu")
    assert result.exit_code == 0, result.output
    np.testing.assert_allclose(np.load(tmp_path / "g.npy")[0], features[2], rtol=1e-3, atol=1e-5)


def test_a_users_mistakes_are_one_line(trained, tmp_path):
    crops, out = trained / "crops", tmp_path / "f.npy"
    for arguments, complaint in (
        ((crops, "--weights", tmp_path / "none.safetensors", "--out", out), "no such checkpoint"),
        ((tmp_path, "--weights", trained / "a.safetensors", "--out", out), "no images"),
        ((crops, "--weights", trained / "a.safetensors", "--out", tmp_path / "f.csv"), "ends in .npy"),
    ):
        result = embed(*arguments)
        assert result.exit_code != 0
        assert complaint in result.output
        assert "Traceback" not in result.output
    assert not list(tmp_path.iterdir())
