"""Export of detectors to OpenVINO, as they are or quantised to int8 with frames for calibration."""

import logging
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.backends.images import scaled
from detector.backends.onnx_export import onnx_bytes
from detector.backends.openvino_runtime import import_openvino, load_core, own_signal_stack
from detector.config import DetectorConfig
from detector.models.exported import FORMAT, SECTION, describe_export
from detector.models.weights import WeightsSource

# Not quantised, by the names of the exported modules: with 256 steps, a box in an image of 1000 px would be off by
# 4 px.
_EXACT = [
    r".*/transform/.*",
    r".*/rpn/(?!head/).*",
    r".*/roi_heads/(?!box_head|box_predictor).*",
]


def openvino_model(config: DetectorConfig, source: WeightsSource) -> Any:
    """The detector that `config` describes, with the weights `source`, as an `openvino.Model`.

    Inputs and outputs are those of `detector.backends.onnx_export.onnx_bytes`.
    """
    model = load_core().read_model(onnx_bytes(config, source))
    _take_nonempty_branches(model)
    for name, text in describe_export(config, source, FORMAT).items():
        model.set_rt_info(text, [SECTION, name])
    return model


def export_openvino(
    config: DetectorConfig, source: WeightsSource, path: Path, frames: Iterable[NDArray[np.uint8]] | None = None
) -> None:
    """Write the detector to `path` (.xml) and the .bin beside it; with `frames` (H, W, 3), as int8.

    As int8, convolutions and matrix products have the ranges of values that occur on the frames.

    Raises:
        DetectorError: a package is missing, or the weights are damaged.

    """
    openvino = import_openvino(*["nncf"] * (frames is not None))
    model = openvino_model(config, source)
    if frames is not None:
        rule = config.resize or source.checkpoint_architecture.resize
        inputs = [np.ascontiguousarray(scaled(frame, rule).tensor[None].numpy()) for frame in frames]
        model = _quantised(model, inputs, path)
    openvino.save_model(model, path, compress_to_fp16=False)


def _quantised(model: Any, inputs: Sequence[NDArray[np.uint8]], path: Path) -> Any:
    openvino = import_openvino("nncf")
    import nncf
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet

    # NNCF distinguishes operations by name, and names are unique only in a model that was read from a file.
    raw = path.with_name(f".raw-{path.name}")
    try:
        openvino.save_model(model, raw, compress_to_fp16=False)
        model = load_core().read_model(raw)
        nncf.set_log_level(logging.ERROR)
        with warnings.catch_warnings(), own_signal_stack():  # for the cores that NNCF loads
            warnings.simplefilter("ignore")  # about means that overflow, and tensors that are not activations
            # Ranges by histogram: with a few outliers, hardly a step would remain for the other activations.
            return nncf.quantize(
                model,
                nncf.Dataset(inputs),
                subset_size=len(inputs),
                ignored_scope=nncf.IgnoredScope(patterns=_EXACT, validate=False),
                advanced_parameters=nncf.AdvancedQuantizationParameters(
                    activations_range_estimator_params=RangeEstimatorParametersSet.HISTOGRAM
                ),
            )
    finally:
        raw.unlink(missing_ok=True)
        raw.with_suffix(".bin").unlink(missing_ok=True)


def _take_nonempty_branches(model: Any) -> None:
    """Replace the branch "are there boxes?" in torchvision's NMS by its case with boxes.

    NMS of no boxes gives no boxes, so the branch is useless, and NNCF would keep all its inputs in memory.
    """
    for operation in model.get_ordered_ops():
        if operation.get_type_name() != "If":
            continue
        body = operation.get_function(1)
        for entry in operation.get_input_descriptions(1):
            parameter = body.get_parameters()[entry.body_parameter_index]
            parameter.output(0).replace(operation.input_value(entry.input_index))
        for result in operation.get_output_descriptions(1):
            value = body.get_results()[result.body_value_index].input_value(0)
            operation.output(result.output_index).replace(value)
