import cv2
import numpy as np
import pytest
import torch

from reid.config import NetworkConfig
from reid.crops import read_crop
from reid.embedder import Embedder, NetworkEmbedder
from reid.errors import ReidError
from reid.network import Network

CONFIG = NetworkConfig(backbone="squeezenet1_1", height=48, width=24, global_branch=None)


@pytest.fixture(scope="module")
def embedder():
    torch.manual_seed(0)
    return NetworkEmbedder(Network(CONFIG), "cpu")


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("crops")
    rng = np.random.default_rng(0)
    paths = [folder / f"{number}.png" for number in range(20)]  # more than a batch on a CPU
    for path in paths:
        cv2.imwrite(str(path), rng.integers(0, 256, (60, 30, 3), np.uint8))
    return paths


def test_features_come_in_the_order_of_the_files(embedder, paths):
    counts = []
    features = embedder.embed_files(paths, advance=counts.append)
    assert features.shape == (20, 512)
    assert features.dtype == np.float32
    assert sum(counts) == 20
    for number in (0, 15, 16, 19):
        alone = embedder.embed(read_crop(paths[number], 48, 24)[None])
        np.testing.assert_allclose(features[number], alone[0], rtol=1e-3, atol=1e-5)


def test_flipping_averages_image_and_mirror_image(embedder, paths):
    crop = read_crop(paths[0], 48, 24)[None]
    both = (embedder.embed(crop) + embedder.embed(crop[:, :, ::-1])) / 2
    np.testing.assert_allclose(embedder.embed(crop, flip=True), both, rtol=1e-4, atol=1e-6)


def test_no_files_give_no_features(embedder):
    assert embedder.embed_files([]).shape == (0, 512)


def test_what_cannot_be_embedded_is_named(embedder, tmp_path):
    (tmp_path / "a.jpg").write_text("no picture")
    with pytest.raises(ReidError, match=r"a\.jpg: not an image"):
        embedder.embed_files([tmp_path / "a.jpg"])
    if not torch.cuda.is_available():
        with pytest.raises(ReidError, match="device 'cuda': no such usable NVIDIA GPU"):
            NetworkEmbedder(Network(CONFIG), "cuda")


def onnx_model(path, shape=("n", 3, 8, 4), sums=(2, 3), values="FLOAT"):
    """The sum of each colour over an image."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    images, features = (
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.DataType.Value(values), sizes)
        for name, sizes in (("x", shape), ("y", ("n", *shape[1:2])))
    )
    axes = onnx.helper.make_tensor("axes", onnx.TensorProto.INT64, (len(sums),), sums)
    node = onnx.helper.make_node("ReduceSum", ["x", "axes"], ["y"], keepdims=0)
    graph = onnx.helper.make_graph([node], "sum", [images], [features], [axes])
    onnx.save(
        onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8), str(path)
    )
    return path


def test_an_onnx_model_from_elsewhere_sees_normalised_rgb(tmp_path):
    embedder = Embedder.load(onnx_model(tmp_path / "a.onnx"), "cpu")
    assert (embedder.size, embedder.dimension) == ((8, 4), 3)
    crops = np.random.default_rng(0).integers(0, 256, (2, 8, 4, 3), np.uint8)
    by_hand = ((crops / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]).sum((1, 2))
    np.testing.assert_allclose(embedder.embed(crops), by_hand, rtol=1e-4)


def test_an_onnx_model_may_take_floats_of_16_bits(tmp_path):
    crops = np.random.default_rng(0).integers(0, 256, (2, 8, 4, 3), np.uint8)
    features = [
        Embedder.load(onnx_model(tmp_path / f"{values}.onnx", values=values), "cpu").embed(crops)
        for values in ("FLOAT", "FLOAT16")
    ]
    np.testing.assert_allclose(*features, atol=0.1)
    assert features[1].dtype == np.float32


def test_an_onnx_model_of_other_values_is_refused(tmp_path):
    with pytest.raises(
        ReidError, match=r"a\.onnx: takes tensor\(int32\); expected floats of 32 or 16 bits, or bytes"
    ):
        Embedder.load(onnx_model(tmp_path / "a.onnx", values="INT32"), "cpu")


def test_an_onnx_model_that_cannot_run_is_named(tmp_path):
    """Its size is open, but it has a layer for 32x16 px only."""
    onnx = pytest.importorskip("onnx")
    values = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, sizes)
        for name, sizes in (("x", ("n", 3, "h", "w")), ("y", ("n", 3 * 32 * 16)))
    ]
    shape = onnx.helper.make_tensor("shape", onnx.TensorProto.INT64, (2,), (0, 3 * 32 * 16))
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Reshape", ["x", "shape"], ["y"])], "flat", *([v] for v in values), [shape]
    )
    opset = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), str(tmp_path / "a.onnx"))
    assert Embedder.load(tmp_path / "a.onnx", "cpu", {"height": 32, "width": 16}).dimension == 3 * 32 * 16
    with pytest.raises(ReidError, match=r"a\.onnx: ONNX Runtime cannot run it: "):
        Embedder.load(tmp_path / "a.onnx", "cpu", {"height": 64, "width": 16})


def test_what_is_no_embedder_in_onnx_is_named(tmp_path):
    for shape in (("n", 1, 8, 4), ("n", 3, 8, 4, 1)):
        with pytest.raises(ReidError, match=r"a\.onnx: has inputs .* expected one input"):
            Embedder.load(onnx_model(tmp_path / "a.onnx", shape), "cpu")
    (tmp_path / "a.onnx").write_bytes(b"no model")
    with pytest.raises(ReidError, match=r"a\.onnx: not an ONNX model"):
        Embedder.load(tmp_path / "a.onnx", "cpu")
    with pytest.raises(ReidError, match=r"b\.onnx: no such model"):
        Embedder.load(tmp_path / "b.onnx")
    with pytest.raises(ReidError, match="device 'tpu'"):
        Embedder.load(tmp_path / "a.onnx", "tpu")
