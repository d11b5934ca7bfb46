"""OpenVINO as a backend, for machines without a GPU."""

import threading
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.backends.images import Prepared, scaled, to_original
from detector.backends.openvino_export import openvino_model
from detector.backends.openvino_runtime import load_core
from detector.config import DetectorConfig, Resize
from detector.errors import DetectorError
from detector.models.exported import read_openvino_header, require_answers
from detector.models.weights import WeightsSource
from detector.records import Detections

_PRECISIONS = {"fp32": "f32", "fp16": "f16", "bf16": "bf16"}


def load_openvino(config: DetectorConfig, source: WeightsSource) -> "OpenVinoPredictor":
    """The detector that `config` describes: an exported model, or a checkpoint, converted in seconds.

    Raises:
        DetectorError: OpenVINO is not installed, or the model is damaged or was exported with other settings.

    """
    if config.device not in ("auto", "cpu"):
        raise DetectorError(f"backend openvino runs on the CPU; device is '{config.device}', expected auto or cpu")
    core = load_core()
    if source.kind == "openvino":
        require_answers(read_openvino_header(source.path).answers, config, source.path)
        try:
            model = core.read_model(source.path)
        except RuntimeError as error:
            raise DetectorError(f"{source.path}: OpenVINO cannot read it: {_first_line(error)}") from None
    else:
        model = openvino_model(config, source)
    # OpenVINO chooses how many images run at once, each on few threads.
    options: dict[str, Any] = {"PERFORMANCE_HINT": "THROUGHPUT"}
    if config.precision != "auto":
        options["INFERENCE_PRECISION_HINT"] = _PRECISIONS[config.precision]
    try:
        compiled = core.compile_model(model, "CPU", options)
    except RuntimeError as error:
        raise DetectorError(f"{source.path}: OpenVINO cannot run it: {_first_line(error)}") from None
    return OpenVinoPredictor(compiled, source.checkpoint_architecture.resize, config)


# OpenVINO's Python binding prepares tables at its first use. Two threads that come at once wait for each other for
# ever: one has the table and wants the interpreter lock, the other has that and wants the table.
_FIRST = threading.Lock()


class OpenVinoPredictor:
    """Finds persons through OpenVINO; see `detector.backends.protocol.PersonDetector`.

    Attributes:
        batch_size: 1.
        workers: threads that should call `predict` at once.
        runtime: what computes, for the record.

    """

    def __init__(self, compiled: Any, rule: Resize, config: DetectorConfig) -> None:
        self.batch_size = 1
        self.workers = int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        self.runtime = f"{config.precision} on cpu (OpenVINO {version('openvino')})"
        self._compiled, self._config, self._rule = compiled, config, config.resize or rule
        self._of_thread = threading.local()

    def preprocess(self, image: NDArray[np.uint8]) -> Prepared:
        """Scale `image` (uint8 (H, W, 3) RGB) for the model; safe in any thread.

        Raises:
            ValueError: `image` has another type or shape.

        """
        return scaled(image, self._rule)

    def predict(self, batch: Sequence[Prepared]) -> list[Detections]:
        """The persons in each image: boxes in pixels of the original, from the floor up, best first."""
        return [Detections.empty() if image.too_small else self._found(image) for image in batch]

    def _found(self, image: Prepared) -> Detections:
        inputs = [np.ascontiguousarray(image.tensor[None].numpy())]
        if hasattr(self._of_thread, "request"):
            answer = self._of_thread.request.infer(inputs)
        else:
            with _FIRST:
                self._of_thread.request = self._compiled.create_infer_request()
                answer = self._of_thread.request.infer(inputs)
        found = to_original(answer["boxes"], answer["scores"], image).above(self._config.floor)
        return found[: self._config.max_detections]


def _first_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[-1].split())[:160] if lines else type(error).__name__
