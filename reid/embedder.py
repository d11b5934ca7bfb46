"""Embedders: trained networks, in torch or ONNX Runtime, that turn crops into features."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from reid.checkpoint import load_network
from reid.crops import IMAGENET_MEAN, IMAGENET_STD, read_crop
from reid.device import usable_device
from reid.errors import ReidError
from reid.network import Network


class Embedder(ABC):
    """Turns images into features whose Euclidean distance is small for images of one person.

    Example:
        >>> embedder = Embedder.load(Path("last.safetensors"))
        >>> features = embedder.embed_files([Path("a.jpg"), Path("b.jpg")])  # float32 (2, embedder.dimension)

    Attributes:
        size: height and width that crops are scaled to, px.
        dimension: length of a feature.
        device: the device that computes: `cpu`, or as torch names it.

    """

    size: tuple[int, int]
    dimension: int
    device: str

    @staticmethod
    def load(weights: Path, device: str = "auto") -> "Embedder":
        """The embedder in `weights`: a checkpoint of `uavpipe reid train`, or an ONNX model.

        Raises:
            ReidError: no such file, a damaged one, or no such device.

        """
        if weights.suffix == ".onnx":
            return OnnxEmbedder(weights, device)
        return NetworkEmbedder(load_network(weights), device)

    def embed_files(
        self, paths: Sequence[Path], *, flip: bool = False, advance: Callable[[int], None] = lambda count: None
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
                advance(len(crops))
        return features

    def embed(self, crops: NDArray[np.uint8], *, flip: bool = False) -> NDArray[np.float32]:
        """Features float32 (n, dimension) of `crops`, uint8 (n, height, width, 3) RGB of `size`."""
        features = self._features(np.ascontiguousarray(crops))
        if flip:
            features += self._features(np.ascontiguousarray(crops[:, :, ::-1]))
            features /= 2
        return features

    @abstractmethod
    def _features(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]: ...


class NetworkEmbedder(Embedder):
    """A network of torch.

    Args:
        network: set to evaluation mode and moved to the device.
        device: `auto`, or as torch names it.

    Raises:
        ReidError: no such device.

    """

    def __init__(self, network: Network, device: str = "auto") -> None:
        self._device = usable_device(device)
        self.device = str(self._device)
        self.size = network.config.height, network.config.width
        self.dimension = network.backbone.dimension
        self._network = network.eval().to(self._device).to(memory_format=torch.channels_last)

    def _features(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        images = torch.from_numpy(crops).to(self._device).permute(0, 3, 1, 2)
        with torch.inference_mode():
            result: NDArray[np.float32] = self._network(images).float().cpu().numpy()
        return result


class OnnxEmbedder(Embedder):
    """An ONNX model: one of `uavpipe reid export`, or a foreign one.

    It takes a batch (n, 3, height, width) and gives (n, dimension). Bytes are RGB, 0 to 255; floats are RGB minus
    ImageNet's mean, divided by its standard deviation, as models of torchreid and fast-reid expect.

    Args:
        path: of the model.
        device: `auto` or `cpu`; `cuda` where ONNX Runtime supports it.

    Raises:
        ReidError: the file, the device or ONNX Runtime is missing, or it is another kind of model.

    """

    def __init__(self, path: Path, device: str = "auto") -> None:
        try:
            import onnxruntime
        except ImportError:
            raise ReidError(f"{path}: needs ONNX Runtime; pip install onnxruntime") from None
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
        shape, given = inputs[0].shape, outputs[0].shape
        if not (len(inputs) == len(outputs) == 1 and _is_batch(shape, 4) and shape[1] == 3 and _is_batch(given, 2)):
            raise ReidError(
                f"{path}: has inputs {[one.shape for one in inputs]} and outputs {[one.shape for one in outputs]}; "
                "expected one input (n, 3, height, width) and one output (n, length)"
            )
        self.size, self.dimension = (shape[2], shape[3]), given[1]
        self._input, self._normalised = inputs[0].name, inputs[0].type == "tensor(float)"

    def _features(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        images: NDArray[Any] = crops
        if self._normalised:
            mean, std = (np.array(values, np.float32) for values in (IMAGENET_MEAN, IMAGENET_STD))
            images = (crops.astype(np.float32) / 255 - mean) / std
        (features,) = self._session.run(None, {self._input: np.ascontiguousarray(images.transpose(0, 3, 1, 2))})
        return np.asarray(features, np.float32)


def _is_batch(shape: Sequence[Any], dimensions: int) -> bool:
    """Whether all dimensions are fixed but the first, the number of images."""
    return (
        len(shape) == dimensions
        and not isinstance(shape[0], int)
        and all(isinstance(size, int) for size in shape[1:])
    )
