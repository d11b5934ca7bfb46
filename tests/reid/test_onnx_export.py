import numpy as np
import pytest
import torch

from reid.checkpoint import load_network, save_checkpoint
from reid.config import NetworkConfig
from reid.embedder import Embedder, NetworkEmbedder
from reid.errors import ReidError
from reid.network import Network
from reid.onnx_export import export_onnx


def test_the_exported_network_gives_the_checkpoints_features(tmp_path, monkeypatch):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    torch.manual_seed(0)
    config = NetworkConfig(backbone="squeezenet1_1", height=48, width=24, global_branch=None, pooling="gem")
    weights, path = tmp_path / "a.safetensors", tmp_path / "a.onnx"
    save_checkpoint(weights, Network(config).state_dict(), network=config, training={})
    assert export_onnx(weights, path) < 1e-5
    exported, ours = Embedder.load(path, "cpu"), NetworkEmbedder(load_network(weights), "cpu")
    assert (exported.size, exported.dimension) == ((48, 24), 512)
    for count in (1, 7):
        crops = np.random.default_rng(count).integers(0, 256, (count, 48, 24, 3), np.uint8)
        np.testing.assert_allclose(exported.embed(crops, flip=True), ours.embed(crops, flip=True), atol=1e-4)
    metadata = onnxruntime.InferenceSession(str(path)).get_modelmeta().custom_metadata_map
    assert metadata["format"] == "uavpipe.reid.onnx.1"
    assert len(metadata["checkpoint_sha256"]) == 64
    assert metadata["metric"] == exported.metric.name == "euclidean"
    monkeypatch.setattr("reid.onnx_export._TOLERANCE", 0)
    with pytest.raises(ReidError, match="differ from the checkpoint's by"):
        export_onnx(weights, path)
    assert export_onnx(weights, tmp_path / "half.onnx", "fp16") < 1e-3
    assert (tmp_path / "half.onnx").stat().st_size < 0.6 * path.stat().st_size
