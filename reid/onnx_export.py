"""Export of networks as ONNX models, for use without torch."""

from pathlib import Path
from typing import Literal

import numpy as np
import torch

from reid.checkpoint import load_network
from reid.embedder import ForeignEmbedder, NetworkEmbedder, OnnxEmbedder
from reid.errors import ReidError
from reid.files import sha256_of
from reid.header import read_header
from reid.metric import metric_of_checkpoint
from reid.network import Network

Precision = Literal["fp32", "fp16"]
FORMAT = "uavpipe.reid.onnx.1"
_TOLERANCE = 1e-3  # rounding alone gives about 1e-6
_TOLERANCE_OF_FP16 = 2e-2  # of the bundled network 3e-3; cosines are then above 0.9998


def export_onnx(weights: Path, path: Path, precision: Precision = "fp32") -> float:
    """Write the network in the checkpoint `weights` to `path` as ONNX, and compare both on random images.

    The model takes `images`, uint8 (n, 3, height, width) RGB, and gives `features`, float32 (n, dimension); the
    scaling of colours is included. Its metadata have the format, the checkpoint's SHA-256, its metric and terms.

    Args:
        weights: the checkpoint.
        path: of the model.
        precision: of the stored weights; the computation is in float32 with both.

    Returns:
        The largest distance between both features of an image, relative to their length.

    Raises:
        ReidError: checkpoint or a package is missing, or the features differ too much.

    """
    network = load_network(weights)
    size = network.config.height, network.config.width
    example = torch.zeros((2, 3, *size), dtype=torch.uint8)
    try:
        program = torch.onnx.export(
            network,
            (example,),
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("n")},),
            input_names=["images"],
            output_names=["features"],
            verbose=False,
        )
    except ImportError as error:
        raise ReidError(f"{path}: {error}; pip install 'uavpipe[onnx]'") from None
    assert program is not None
    program.model.metadata_props.update(description(weights, FORMAT))
    program.save(path, external_data=False)
    if precision == "fp16":
        _store_as_fp16(path)
    return compared(network, OnnxEmbedder(path, "cpu"), path, precision)


def description(weights: Path, form: str) -> dict[str, str]:
    """The description to put into an exported model of the format `form`."""
    return {
        "format": form,
        "checkpoint_sha256": sha256_of(weights),
        "metric": metric_of_checkpoint(weights).name,
        "terms": read_header(weights).terms,
    }


def compared(network: Network, exported: ForeignEmbedder, path: Path, precision: Precision) -> float:
    """Compare `network` with the model `path` that was exported from it; see `export_onnx`."""
    difference = _difference(NetworkEmbedder(network, "cpu"), exported)
    if not difference <= (_TOLERANCE if precision == "fp32" else _TOLERANCE_OF_FP16):
        raise ReidError(
            f"{path}: its features differ from the checkpoint's by {difference:.1g} of their length; not exported"
        )
    return difference


def _store_as_fp16(path: Path) -> None:
    """Store kernels and matrices as float16, each with a cast to float32, which runtimes do when they load it."""
    import onnx

    model = onnx.load(path)
    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.dims) > 1:
            stored = f"{tensor.name}.fp16"
            casts.append(onnx.helper.make_node("Cast", [stored], [tensor.name], to=onnx.TensorProto.FLOAT))
            values = onnx.numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, stored))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.save(model, path)


def _difference(ours: NetworkEmbedder, exported: ForeignEmbedder) -> float:
    crops = np.random.default_rng(0).integers(0, 256, (5, *ours.size, 3), np.uint8)
    expected, found = ours.embed(crops), exported.embed(crops)
    distances = np.linalg.norm(expected - found, axis=1) / np.linalg.norm(expected, axis=1)
    return float(distances.max())
