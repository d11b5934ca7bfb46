import logging

import numpy as np
import pytest
import torch

from reid.checkpoint import load_network, save_checkpoint
from reid.config import NetworkConfig
from reid.embedder import Embedder, NetworkEmbedder
from reid.errors import ReidError
from reid.network import Network
from reid.openvino_export import export_openvino


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "a.safetensors"
    sizes = {"backbone": "squeezenet1_1", "height": 96, "width": 48, "global_branch": None}
    config = NetworkConfig(**sizes, neck="batch_norm")
    save_checkpoint(path, Network(config).state_dict(), network=config, training={})
    return path


def test_the_exported_model_gives_the_checkpoints_features_and_fp16_is_half_as_large(weights, tmp_path):
    ours = NetworkEmbedder(load_network(weights), "cpu")
    sizes = {}
    for precision, most in (("fp32", 1e-5), ("fp16", 1e-2)):
        path = tmp_path / f"{precision}.xml"
        assert export_openvino(weights, path, precision) < most
        exported = Embedder.load(path, "cpu")
        assert (exported.size, exported.dimension, exported.convention) == ((96, 48), 512, None)
        assert exported.metric.name == ours.metric.name == "cosine"
        assert exported.metric.reason == "as the checkpoint's that was exported"
        for count in (1, 7):  # of any batch
            crops = np.random.default_rng(count).integers(0, 256, (count, 96, 48, 3), np.uint8)
            expected, found = ours.embed(crops), exported.embed(crops)
            lengths = np.linalg.norm(expected, axis=1) * np.linalg.norm(found, axis=1)
            assert ((expected * found).sum(axis=1) / lengths).min() > 0.999
        sizes[precision] = path.with_suffix(".bin").stat().st_size
    assert sizes["fp16"] < 0.55 * sizes["fp32"]


def test_an_export_leaves_the_logging_as_it_was(weights, tmp_path):
    root = logging.getLogger()
    before = root.level, root.filters[:], root.handlers[:]
    export_openvino(weights, tmp_path / "a.xml")
    assert (root.level, root.filters, root.handlers) == before


def test_a_network_that_openvino_cannot_convert_is_one_line(tmp_path):
    config = NetworkConfig(backbone="squeezenet1_1", height=48, width=24, global_branch=None)
    save_checkpoint(tmp_path / "a.safetensors", Network(config).state_dict(), network=config, training={})
    with pytest.raises(ReidError, match=r"a\.xml: OpenVINO cannot convert a squeezenet1_1 for images of 48x24 px"):
        export_openvino(tmp_path / "a.safetensors", tmp_path / "a.xml")
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]
