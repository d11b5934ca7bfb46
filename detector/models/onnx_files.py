"""The files of an ONNX model, the model itself and the data that it keeps outside of it; and its metadata."""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from detector.errors import DetectorError
from detector.files import read_regular


def files_of(path: Path) -> tuple[Path, ...]:
    """The model `path` and the files beside it that hold its tensors: what its results depend on.

    Raises:
        DetectorError: one of them is missing or elsewhere; not an ONNX model; or the package `onnx` is missing.

    """
    return _read(path)[0]


def metadata_of(path: Path) -> dict[str, str]:
    """The metadata of the model `path`, texts by name; raises as `files_of`."""
    return dict(_read(path)[1])


def _read(path: Path) -> tuple[tuple[Path, ...], dict[str, str]]:
    if not path.is_file():
        raise DetectorError(f"{path}: no such model; expected an .onnx file")
    status = path.stat()
    return _read_once(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=32)
def _read_once(path: Path, size: int, modified: int) -> tuple[tuple[Path, ...], dict[str, str]]:
    try:
        import onnx
    except ImportError:
        raise DetectorError(
            f"{path}: backend onnx needs the packages onnx and onnxruntime; pip install 'uavpipe[onnx]'"
        ) from None
    try:
        model = onnx.load_model_from_string(read_regular(path))
    except Exception as error:  # protobuf's, and the system's
        raise DetectorError(f"{path}: not an ONNX model: {' '.join(str(error).split())[:150]}") from None
    names = sorted(
        {
            entry.value
            for tensor in _tensors(model.graph)
            for entry in tensor.external_data
            if entry.key == "location"
        }
    )
    for name in names:
        if Path(name).name != name or not path.with_name(name).is_file():
            raise DetectorError(f"{path}: has tensors in '{name}', which is not a file beside it; copy it there")
    metadata = {each.key: each.value for each in model.metadata_props}
    return (path, *map(path.with_name, names)), metadata


def _tensors(graph: Any) -> Iterator[Any]:
    """All tensors of a graph and of the graphs in it."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            if attribute.HasField("g"):
                yield from _tensors(attribute.g)
