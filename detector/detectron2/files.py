"""Reading of detectron2's checkpoints, names and tensors, without running anything in them.

The model zoo's `.pkl` files are pickles of NumPy arrays. Only the few names that such pickles need are known here,
and they map to records of ours, not to NumPy's own constructors. A pickle with other names is refused.
"""

import pickle
import warnings
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from detector.errors import DetectorError
from detector.files import open_regular

_NUMBERS = "biuf"  # kinds of NumPy types that are numbers: bool, int, unsigned, float


def read_detectron2(path: Path) -> dict[str, Tensor]:
    """The model's tensors in the checkpoint `path` (`.pkl` or `.pth`), by detectron2's names.

    Raises:
        DetectorError: missing, damaged, not a checkpoint of detectron2, or a pickle with more than arrays.

    """
    try:
        content = _unpickle(path) if path.suffix == ".pkl" else _torch_load(path)
    except FileNotFoundError:
        raise DetectorError(f"{path}: no such checkpoint; expected detectron2's .pkl or .pth") from None
    except Exception as error:  # unpicklers raise whatever they meet: all of it means "not weights"
        # Of torch's long texts the start says nothing, and other errors may be a bare number.
        own = path.suffix == ".pkl" and isinstance(error, pickle.UnpicklingError)
        known = f" ({' '.join(str(error).split())[:120]})" if own else ""
        raise DetectorError(
            f"{path}: not a checkpoint of plain arrays{known}; nothing in it was run. "
            "Expected detectron2's .pkl or .pth"
        ) from None
    model = content.get("model", content) if isinstance(content, dict) else None
    if not isinstance(model, dict) or "blobs" in model:
        found = "a file of Caffe2's" if model else type(content).__name__
        raise DetectorError(f"{path}: expected a dict with detectron2's 'model', found {found}")
    return {str(name): _tensor(value, f"{path}: {name}") for name, value in model.items()}


def _torch_load(path: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of pickle protocols; our one line is enough
        with open_regular(path) as file:
            return torch.load(file, map_location="cpu", weights_only=True)


def _unpickle(path: Path) -> Any:
    with open_regular(path) as file:
        return _ArraysOnly(file, encoding="latin1").load()  # old ones were written by Python 2


def _tensor(value: Any, name: str) -> Tensor:
    if isinstance(value, _Array):
        value = torch.from_numpy(value.numpy(name))
    if not isinstance(value, Tensor):
        raise DetectorError(f"{name}: expected an array of numbers, found {type(value).__name__}")
    return value


class _Dtype:
    """A NumPy type in a pickle: its code, as "f4", and its byte order."""

    def __init__(self, code: Any, align: Any = False, copy: Any = False) -> None:
        self.code, self.order = str(code), "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _version, order, *rest = state
        if any(part is not None for part in rest[:3]):
            raise pickle.UnpicklingError("an array of records; expected numbers")
        self.order = str(order)

    def numpy(self) -> np.dtype[Any]:
        dtype = np.dtype(f"{self.order}{self.code}")
        if dtype.kind not in _NUMBERS:
            raise pickle.UnpicklingError(f"an array of '{self.code}'; expected numbers")
        return dtype


class _Array:
    """A NumPy array in a pickle: type, shape, order of axes, bytes."""

    def __init__(self, *_constructor: Any) -> None:
        self.state: tuple[Any, ...] = ()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.state = state

    def numpy(self, name: str) -> NDArray[Any]:
        """The array; `name` is for errors."""
        try:
            _version, shape, dtype, fortran, data = self.state
            raw = data.encode("latin1") if isinstance(data, str) else data  # Python 2's bytes
            array = np.frombuffer(raw, dtype.numpy()).reshape(shape, order="F" if fortran else "C")
            return array.astype(array.dtype.newbyteorder("="))
        except Exception as error:
            raise DetectorError(f"{name}: a damaged array ({' '.join(str(error).split())[:80]})") from None


def _from_buffer(data: Any, dtype: Any, shape: Any, order: Any) -> _Array:
    array = _Array()
    array.state = (1, shape, dtype, order == "F", data)
    return array


def _scalar(dtype: Any, data: Any) -> _Array:
    array = _Array()
    array.state = (1, (), dtype, False, data)
    return array


def _encode(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"text in '{encoding}'")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    return b""


_KNOWN: Mapping[tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("_codecs", "encode"): _encode,
    ("__builtin__", "bytes"): _no_bytes,  # the bytes of an empty array
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy.core.numeric", "_frombuffer"): _from_buffer,
}


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        known = _KNOWN.get((module.replace("numpy._core", "numpy.core"), name))
        if known is None:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return known
