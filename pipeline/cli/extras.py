"""Packages that not every installation has, and the extra of uavpipe that brings each."""

from collections.abc import Callable
from functools import wraps
from importlib.util import find_spec
from typing import Any

from pipeline.errors import PipelineError

EXTRA_OF = {
    "torch": "detect",
    "torchvision": "detect",
    "accelerate": "train",
    "tensorboard": "train",
    "h5py": "cuhk03",
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "onnxscript": "onnx",
    "nncf": "openvino",
    "openvino": "openvino",
    "ray": "ray",
    "rasterio": "terrain",
}
_TO_TRAIN = [package for package, extra in EXTRA_OF.items() if extra in ("detect", "train")]


def missing_extra(error: Exception) -> str | None:
    """One line on how to install the package that `error` misses; None where no extra has it."""
    package = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    return _advice(package, EXTRA_OF[package]) if package in EXTRA_OF else None


def trains(command: Callable[..., Any]) -> Callable[..., Any]:
    """Refuse a command that trains, before it begins, where what it needs last is not installed.

    Raises:
        PipelineError: from the command; one line on how to install it.

    """

    @wraps(command)
    def guarded(**given: Any) -> Any:
        for package in _TO_TRAIN:
            if find_spec(package) is None:
                raise PipelineError(_advice(package, "train"))
        return command(**given)

    return guarded


def _advice(package: str, extra: str) -> str:
    return f"the package {package} is not installed, and is needed here: pip install 'uavpipe[{extra}]'"
