"""Export of networks as ONNX models, for use without torch."""

from pathlib import Path

import numpy as np
import torch

from reid.checkpoint import load_network
from reid.embedder import NetworkEmbedder, OnnxEmbedder
from reid.errors import ReidError
from reid.files import sha256_of

FORMAT = "uavpipe.reid.onnx.1"
_TOLERANCE = 1e-3  # rounding alone gives about 1e-6


def export_onnx(weights: Path, path: Path) -> float:
    """Write the network in the checkpoint `weights` to `path` as ONNX, and compare both on random images.

    The model takes `images`, uint8 (n, 3, height, width) RGB, and gives `features`, float32 (n, dimension); the
    scaling of colours is included. Its metadata have the format and the SHA-256 of the checkpoint.

    Returns:
        The largest distance between both features of an image, relative to their length.

    Raises:
        ReidError: checkpoint or a package is missing, or the features differ by more than a thousandth.

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
    program.model.metadata_props["format"] = FORMAT
    program.model.metadata_props["checkpoint_sha256"] = sha256_of(weights)
    program.save(path, external_data=False)
    difference = _difference(NetworkEmbedder(network, "cpu"), OnnxEmbedder(path, "cpu"))
    if not difference <= _TOLERANCE:
        raise ReidError(
            f"{path}: its features differ from the checkpoint's by {difference:.1g} of their length; not exported"
        )
    return difference


def _difference(ours: NetworkEmbedder, exported: OnnxEmbedder) -> float:
    crops = np.random.default_rng(0).integers(0, 256, (5, *ours.size, 3), np.uint8)
    expected, found = ours.embed(crops), exported.embed(crops)
    distances = np.linalg.norm(expected - found, axis=1) / np.linalg.norm(expected, axis=1)
    return float(distances.max())
