"""Embedders: trained networks, in torch or ONNX Runtime, that turn crops into features."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from reid.checkpoint import load_network
from reid.crops import read_crop
from reid.device import device_errors, usable_device
from reid.errors import ReidError
from reid.input_convention import InputConvention, convention_of, metric_for
from reid.metric import FOREIGN, METRICS, MetricChoice, metric_of, metric_of_checkpoint
from reid.network import Network
from reid.openvino_ir import require_ir
from reid.openvino_runtime import load_core
from reid.records import Picture

Input = Mapping[str, Any] | None  # settings of `InputConvention`
# What models may take: floats by their convention, or bytes. By the names of ONNX and of OpenVINO.
_DTYPES: dict[str, type[Any]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(uint8)": np.uint8,
    "f32": np.float32,
    "f16": np.float16,
    "u8": np.uint8,
}
_NEARLY_EQUAL, _ENOUGH = 0.9, 8  # mean cosine, and number of images from which it tells
_log = logging.getLogger(__name__)


class Embedder(ABC):
    """Turns images into features whose distance is small for images of one person.

    Example:
        >>> embedder = Embedder.load(Path("last.safetensors"))
        >>> features = embedder.embed_files([Path("a.jpg"), Path("b.jpg")])  # float32 (2, embedder.dimension)

    Attributes:
        size: height and width that crops are scaled to, px.
        dimension: length of a feature.
        device: the device that computes: `cpu`, or as torch names it.
        metric: by which features are compared where no other is asked for.

    """

    size: tuple[int, int]
    dimension: int
    device: str
    metric: MetricChoice
    _is_checked = False  # whether the first features differ from each other

    @property
    def what(self) -> str:
        """How a foreign model is used, for people; empty for a checkpoint, which has its own input."""
        return ""

    @staticmethod
    def load(weights: Path, device: str = "auto", given: Input = None) -> "Embedder":
        """The embedder in `weights`: a checkpoint of `uavpipe reid train`, an ONNX model, or OpenVINO's `.xml`.

        Args:
            weights: the file.
            device: auto, cpu or cuda.
            given: settings of `InputConvention`, of a foreign model.

        Raises:
            ReidError: no such file, a damaged one, or no such device; or a setting does not fit.

        """
        embedder: Embedder
        if weights.suffix == ".onnx":
            embedder = OnnxEmbedder(weights, device, given)
        elif weights.suffix == ".xml":
            embedder = OpenVinoEmbedder(weights, device, given)
        elif given:
            raise ReidError(f"{weights}: --input is for ONNX and OpenVINO models; a checkpoint has its own")
        else:
            embedder = NetworkEmbedder(load_network(weights), device)
            embedder.metric = metric_of_checkpoint(weights)
        embedder.metric = metric_for(weights, given, embedder.metric)
        if isinstance(embedder, ForeignEmbedder):
            embedder.warn_of_equal_negative(weights.name)
        return embedder

    def embed_files(
        self,
        paths: Sequence[Path | Picture],
        *,
        flip: bool = False,
        advance: Callable[[int], None] = lambda count: None,
    ) -> NDArray[np.float32]:
        """Features float32 (n, dimension) of image files, not normalised.

        Args:
            paths: of the images.
            flip: average the features of image and mirror image (not in the paper).
            advance: called with the number of images done since the last call.

        Raises:
            ReidError: an image cannot be read.

        """
        batch = 16 if self.device == "cpu" else 128
        features = np.empty((len(paths), self.dimension), np.float32)
        with ThreadPoolExecutor(thread_name_prefix="decode") as threads:
            # The next batch is decoded while the network computes this one.
            coming = [threads.submit(read_crop, path, *self.size) for path in paths[:batch]]
            for first in range(0, len(paths), batch):
                crops = np.stack([crop.result() for crop in coming])
                following = paths[first + batch : first + 2 * batch]
                coming = [threads.submit(read_crop, path, *self.size) for path in following]
                features[first : first + len(crops)] = self.embed(crops, flip=flip)
                if not self._is_checked:
                    self._warn_of_equal(features[: len(crops)])
                advance(len(crops))
        return features

    def embed(self, crops: NDArray[np.uint8], *, flip: bool = False) -> NDArray[np.float32]:
        """Features float32 (n, dimension) of `crops`, uint8 (n, height, width, 3) RGB of `size`."""
        features = self._features(np.ascontiguousarray(crops))
        if flip:
            features += self._features(np.ascontiguousarray(crops[:, :, ::-1]))
            features /= 2
        return features

    def _warn_of_equal(self, features: NDArray[np.float32]) -> None:
        """Warn where the features of different images are nearly the same: the model expects another input."""
        self._is_checked = True
        if len(features) >= _ENOUGH and (cosine := mean_cosine(features)) > _NEARLY_EQUAL:
            _log.warning(
                "the features of the first %d images are nearly equal (mean cosine %.4f): the network expects "
                "another range of colours, or did not learn; uavpipe reid inspect compares",
                *(len(features), cosine),
            )

    @abstractmethod
    def _features(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]: ...


def mean_cosine(features: NDArray[np.float32]) -> float:
    """The mean cosine of two different rows of `features`, (n, d)."""
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    count = len(features)
    return (float(np.square(unit.sum(axis=0)).sum()) - count) / max(1, count * (count - 1))


class NetworkEmbedder(Embedder):
    """A network of torch.

    Args:
        network: set to evaluation mode and moved to the device.
        device: `auto`, or as torch names it.

    Raises:
        ReidError: no such device.

    """

    def __init__(self, network: Network, device: str = "auto") -> None:
        self._is_checked = True  # a checkpoint has its own input
        self._device = usable_device(device)
        self.device = str(self._device)
        self.size = network.config.height, network.config.width
        self.dimension = network.backbone.dimension
        self.metric = metric_of(network.config)
        self._network = network.eval().to(self._device).to(memory_format=torch.channels_last)

    def _features(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.inference_mode(), device_errors("take device cpu"):
            images = torch.from_numpy(crops).to(self._device).permute(0, 3, 1, 2)
            result: NDArray[np.float32] = self._network(images).float().cpu().numpy()
        return result


class ForeignEmbedder(Embedder):
    """A model of another runtime, one of `uavpipe reid export` or a foreign one.

    It takes images (n, 3, height, width) and gives features (n, dimension). Bytes are RGB, 0 to 255; what floats
    are, `convention` says. For a model with a fixed batch, images are split, and the last batch is filled up.

    Attributes:
        convention: of an input of floats; None: the model takes bytes.

    """

    convention: InputConvention | None
    metric = FOREIGN
    _batch: int | None
    _dtype: type[Any]

    @property
    def what(self) -> str:
        """The size, order and range of its input, its batch, and the length of its features."""
        height, width = self.size
        taken = self.convention.words if self.convention else "RGB, bytes"
        batch = f", batches of {self._batch}" if self._batch else ""
        return f"input {height}x{width} px, {taken}{batch}; features of length {self.dimension}"

    def with_input(self, convention: InputConvention) -> Self:
        """The same model with another input."""
        other = copy(self)
        other.convention = convention
        return other

    def warn_of_equal_negative(self, name: str) -> None:
        """Warn where a picture and its negative have nearly the same features; `name` is the model's.

        Where the values of the pixels are a hundred times too large or too small, the biases of the network or its
        saturation decide. A darker picture would say nothing: models that fit their input hardly see it, either.
        """
        if self.convention is None:
            return
        height, width = self.size
        ramp = np.linspace(0, 255, height).astype(np.uint8)[:, None, None]
        picture = np.broadcast_to(ramp, (height, width, 3))
        cosine = mean_cosine(self.embed(np.stack([picture, 255 - picture])))
        if cosine > _NEARLY_EQUAL:
            self._is_checked = True
            _log.warning(
                "%s: the features of a picture and of its negative are nearly equal (cosine %.4f) with %s: the "
                "model expects another range of colours, or did not learn; uavpipe reid inspect compares",
                *(name, cosine, self.convention.words),
            )

    def _take(self, path: Path, shapes: tuple[list[Any], list[Any]], values: str, given: Input) -> None:
        """Check shapes, in which an open size is not an int, and the type of the `values`; set what follows."""
        taken, found = shapes
        taken, found = [_sizes(each) for each in taken], [_sizes(each) for each in found]
        shape, answer = taken[0] if taken else [], found[0] if found else []
        one = len(taken) == len(found) == 1 and len(shape) == 4 and shape[1] == 3
        if not one or len(answer) < 2 or answer[1] is None or any(size != 1 for size in answer[2:]):
            raise ReidError(
                f"{path}: has inputs {taken} and outputs {found}; expected one input (n, 3, height, width) and one "
                "output (n, length)"
            )
        if values not in _DTYPES:
            raise ReidError(f"{path}: takes {values}; expected floats of 32 or 16 bits, or bytes (uint8)")
        self._dtype, self.convention = _DTYPES[values], None
        if self._dtype is not np.uint8:
            self.convention = convention_of(path, given, _default(path))
        elif given:
            raise ReidError(f"{path}: --input is for models that take floats; this one takes bytes")
        asked = (self.convention.height, self.convention.width) if self.convention else (None, None)
        height, width = (own or other for own, other in zip(shape[2:], asked, strict=True))
        if height is None or width is None:
            raise ReidError(f"{path}: leaves the size of its images open; give --input height=256 and width=128")
        self.size, self.dimension, self._batch = (height, width), answer[1], shape[0]

    def _take_metric(self, described: str | None) -> None:
        """The metric in the description of a model that uavpipe exported."""
        for name in METRICS:
            if name == described:
                self.metric = MetricChoice(name, "as the checkpoint's that was exported")

    def _features(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        if self.convention is None:
            images: NDArray[Any] = np.ascontiguousarray(crops.transpose(0, 3, 1, 2))
        else:
            images = self.convention.values(crops).astype(self._dtype, copy=False)
        step = self._batch or len(images)
        found = []
        for first in range(0, len(images), step):
            part = images[first : first + step]
            missing = step - len(part)
            filled = np.concatenate([part, np.repeat(part[-1:], missing, axis=0)]) if missing else part
            found.append(self._run(filled).reshape(step, -1)[: len(part)])
        return np.concatenate(found).astype(np.float32)

    @abstractmethod
    def _run(self, images: NDArray[Any]) -> NDArray[Any]: ...


class OnnxEmbedder(ForeignEmbedder):
    """An ONNX model.

    Args:
        path: of the model.
        device: `auto` or `cpu`; `cuda` where ONNX Runtime supports it.
        given: settings of `InputConvention`; None: as the file beside it says, or ImageNet's.

    Raises:
        ReidError: the file, the device or ONNX Runtime is missing, or it is another kind of model.

    """

    def __init__(self, path: Path, device: str = "auto", given: Input = None) -> None:
        try:
            import onnxruntime
        except ImportError:
            raise ReidError(f"{path}: needs ONNX Runtime; pip install 'uavpipe[onnx]'") from None
        providers = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
        present = onnxruntime.get_available_providers()
        self.device = device if device != "auto" else "cuda" if providers["cuda"] in present else "cpu"
        if providers.get(self.device) not in present:
            raise ReidError(
                f"device '{device}': ONNX Runtime cannot use it on this machine; take device auto or cpu"
            )
        if not path.is_file():
            raise ReidError(f"{path}: no such model")
        try:
            self._session = onnxruntime.InferenceSession(str(path), providers=[providers[self.device]])
        except Exception as error:  # ONNX Runtime has an exception class for each kind of damage
            raise ReidError(f"{path}: not an ONNX model: {' '.join(str(error).split())[:150]}") from None
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        shapes = [one.shape for one in inputs], [one.shape for one in outputs]
        self._take(path, shapes, inputs[0].type if inputs else "nothing", given)
        self._path, self._input = path, inputs[0].name
        self._take_metric(self._session.get_modelmeta().custom_metadata_map.get("metric"))

    def _run(self, images: NDArray[Any]) -> NDArray[Any]:
        try:
            (features,) = self._session.run(None, {self._input: images})
        except Exception as error:  # ONNX Runtime has an exception class for each kind of failure
            raise ReidError(
                f"{self._path}: ONNX Runtime cannot run it: {' '.join(str(error).split())[:150]}"
            ) from None
        return np.asarray(features)


class OpenVinoEmbedder(ForeignEmbedder):
    """A model in OpenVINO's IR: a `.xml` and a `.bin`.

    Args:
        path: of the `.xml`.
        device: `auto` or `cpu`.
        given: as for `OnnxEmbedder`.

    Raises:
        ReidError: the file, the device or OpenVINO is missing, or it is another kind of model.

    """

    def __init__(self, path: Path, device: str = "auto", given: Input = None) -> None:
        if device not in ("auto", "cpu"):
            raise ReidError(f"device '{device}': OpenVINO models run on the CPU here; take device auto or cpu")
        self.device = "cpu"
        require_ir(path)
        try:
            core = load_core()
            model = core.read_model(path)
            shapes = [_open_sizes(one) for one in model.inputs], [_open_sizes(one) for one in model.outputs]
            self._compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        except RuntimeError as error:
            raise ReidError(f"{path}: OpenVINO cannot read it: {str(error).strip().splitlines()[-1]}") from None
        values = model.inputs[0].get_element_type().get_type_name() if model.inputs else "nothing"
        self._take(path, shapes, values, given)
        place = ["uavpipe", "metric"]
        self._take_metric(model.get_rt_info(place).astype(str) if model.has_rt_info(place) else None)

    def _run(self, images: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(self._compiled([images])[0])


def _open_sizes(port: Any) -> list[Any]:
    return [size.get_length() if size.is_static else None for size in port.get_partial_shape()]


def _sizes(shape: Sequence[Any]) -> list[int | None]:
    """Sizes of a shape, None where a size is open."""
    return [size if isinstance(size, int) else None for size in shape]


def _default(path: Path) -> InputConvention:
    """Open Model Zoo's networks have the scaling inside; others have that of torchreid."""
    if path.suffix == ".xml" and path.name.startswith("person-reidentification-retail"):
        return InputConvention(range="0-255", colours="bgr")
    return InputConvention()
