"""Export of networks as OpenVINO models, an .xml and a .bin, for use without torch."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from reid.checkpoint import load_network
from reid.embedder import OpenVinoEmbedder
from reid.errors import ReidError
from reid.onnx_export import Precision, compared, description
from reid.openvino_runtime import import_openvino, own_signal_stack

FORMAT = "uavpipe.reid.openvino.1"
SECTION = "uavpipe"  # of the model's runtime information


def export_openvino(weights: Path, path: Path, precision: Precision = "fp32") -> float:
    """Write the network in the checkpoint `weights` to `path` (.xml) and the .bin beside it, and compare both.

    Input and output are those of `export_onnx`.

    Args:
        weights: the checkpoint.
        path: of the model.
        precision: of the stored weights; the CPU computes in float32 with both.

    Returns:
        The largest distance between both features of an image, relative to their length.

    Raises:
        ReidError: checkpoint or OpenVINO is missing, OpenVINO cannot convert it, or the features differ too much.

    """
    openvino = import_openvino()
    network = load_network(weights)
    size = network.config.height, network.config.width
    with warnings.catch_warnings(), own_signal_stack(), _own_logging():
        warnings.simplefilter("ignore")  # about tracing
        example = torch.zeros((2, 3, *size), dtype=torch.uint8)
        try:
            model = openvino.convert_model(network, example_input=example, input=[-1, 3, *size])
        except Exception:  # OpenVINO has an exception class for each step
            raise ReidError(
                f"{path}: OpenVINO cannot convert a {network.config.backbone} for images of {size[0]}x{size[1]} px"
                "; export it as .onnx"
            ) from None
    model.inputs[0].set_names({"images"})
    model.outputs[0].set_names({"features"})
    for name, text in description(weights, FORMAT).items():
        model.set_rt_info(text, [SECTION, name])
    openvino.save_model(model, path, compress_to_fp16=precision == "fp16")
    return compared(network, OpenVinoEmbedder(path, "cpu"), path, precision)


@contextmanager
def _own_logging() -> Iterator[None]:
    """Give the root logger back the level, filters and handlers that OpenVINO's conversion replaces."""
    root = logging.getLogger()
    level, filters, handlers = root.level, root.filters[:], root.handlers[:]
    try:
        yield
    finally:
        root.setLevel(level)
        root.filters, root.handlers = filters, handlers
