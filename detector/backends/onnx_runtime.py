"""An ONNX model in ONNX Runtime: its inputs, metadata and answers."""

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.errors import DetectorError

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
_DTYPES: dict[str, type[Any]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(uint8)": np.uint8,
}
_SIZES = "orig_target_sizes"  # RT-DETR's second input
_MOST_SIDE = 16384  # px
_MOST_TEXT = 1_000_000  # characters of a metadata entry


@dataclass(frozen=True, eq=False)
class OnnxModel:
    """A model that takes images; `answer` may be called from several threads.

    Attributes:
        path: of its file.
        session: of ONNX Runtime.
        device: `cpu`, or `cuda` with its number.
        image: name of the input that takes images.
        dtype: of its values.
        batch: number of images that it takes at once; None: any.
        width: of its images, px; None: any.
        height: of its images, px; None: any.
        takes_size: whether it also takes the size of the original image.
        metadata: texts by name.

    """

    path: Path
    session: Any
    device: str
    image: str
    dtype: type[Any]
    batch: int | None
    width: int | None
    height: int | None
    takes_size: bool
    metadata: Mapping[str, str]

    def answer(self, images: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """The outputs by name for `images` (b, 3, h, w), values and colours as the model expects them.

        Raises:
            DetectorError: ONNX Runtime cannot run the model on them.

        """
        given: dict[str, NDArray[Any]] = {self.image: np.ascontiguousarray(images, self.dtype)}
        if self.takes_size:
            # The model's own input is its original: boxes come back in its pixels.
            given[_SIZES] = np.tile(np.array(images.shape[:1:-1], np.int64), (len(images), 1))
        try:
            outputs = self.session.run(None, given)
        except Exception as error:  # ONNX Runtime has an exception class for each kind of failure
            raise DetectorError(f"{self.path}: ONNX Runtime cannot run it: {_line(error)}") from None
        names = [each.name for each in self.session.get_outputs()]
        return {name: _as_float32(array) for name, array in zip(names, outputs, strict=True)}

    def literal(self, name: str) -> Any:
        """A metadata entry that is written as Python's literal; None where it is missing or no literal."""
        text = self.metadata.get(name, "")
        try:
            return ast.literal_eval(text) if len(text) <= _MOST_TEXT else None
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return None

    @property
    def names(self) -> dict[int, str]:
        """Names of the classes by number; empty where the model has none."""
        found = self.literal("names")
        if isinstance(found, list | tuple):
            found = dict(enumerate(found))
        if not isinstance(found, dict) or not all(isinstance(key, int) for key in found):
            return {}
        return {number: str(name) for number, name in found.items()}

    @property
    def image_size(self) -> tuple[int, int] | None:
        """Width and height of its training images by its metadata, px."""
        found = self.literal("imgsz")
        found = [found, found] if isinstance(found, int) else found
        if not isinstance(found, list | tuple) or len(found) != 2:
            return None
        height, width = (each if isinstance(each, int) and 0 < each <= _MOST_SIDE else None for each in found)
        return None if width is None or height is None else (width, height)


def open_model(path: Path, device: str) -> OnnxModel:
    """The model in `path`; `device`: auto, cpu, cuda or cuda:N.

    Raises:
        DetectorError: ONNX Runtime or the device is missing, or it is no model that takes images.

    """
    try:
        import onnxruntime
    except ImportError:
        raise DetectorError(
            f"{path}: backend onnx needs the packages onnx and onnxruntime; pip install 'uavpipe[onnx]'"
        ) from None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors, which are raised; no warnings about the graph
    # A thread for each image wastes less than one image spread over the cores.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    kind, provider = _provider(device, onnxruntime.get_available_providers())
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=[provider])
    except Exception as error:  # ONNX Runtime has an exception class for each kind of damage
        raise DetectorError(f"{path}: ONNX Runtime cannot load it: {_line(error)}") from None
    if kind == "cuda" and _PROVIDERS["cuda"] not in session.get_providers():
        if device != "auto":
            raise DetectorError(f"device '{device}': ONNX Runtime cannot use it; take device: auto or cpu")
        kind = "cpu"
    inputs = {each.name: each for each in session.get_inputs()}
    sizes = inputs.pop(_SIZES, None)
    shapes = ", ".join(f"{each.name} {each.shape} {each.type}" for each in session.get_inputs())
    images = list(inputs.values())
    if len(images) != 1 or len(images[0].shape) != 4 or images[0].type not in _DTYPES or images[0].shape[1] != 3:
        raise DetectorError(
            f"{path}: takes {shapes}; expected one input (n, 3, height, width) of float, float16 or uint8"
        )
    batch, _, height, width = (each if isinstance(each, int) else None for each in images[0].shape)
    metadata = session.get_modelmeta().custom_metadata_map
    return OnnxModel(
        path,
        session,
        kind,
        images[0].name,
        _DTYPES[images[0].type],
        batch,
        width,
        height,
        sizes is not None,
        metadata,
    )


def _provider(device: str, present: list[str]) -> tuple[str, Any]:
    """The kind of device, and what ONNX Runtime calls it."""
    kind, _, number = device.partition(":")
    if kind == "auto":
        kind = "cuda" if _PROVIDERS["cuda"] in present else "cpu"
    if _PROVIDERS[kind] not in present:
        raise DetectorError(
            f"device '{device}': this ONNX Runtime has no CUDA; take device: auto or cpu, or onnxruntime-gpu"
        )
    return kind, (_PROVIDERS[kind], {"device_id": int(number or 0)}) if kind == "cuda" else _PROVIDERS[kind]


def _as_float32(array: NDArray[Any]) -> NDArray[Any]:
    return array.astype(np.float32) if array.dtype.kind == "f" else array


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
