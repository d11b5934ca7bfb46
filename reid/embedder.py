"""A trained network at work: crops in, features out."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from reid.checkpoint import load_network
from reid.crops import read_crop
from reid.errors import ReidError
from reid.network import Network


class Embedder:
    """Turns images into features that lie close where they show the same person.

    Attributes:
        network: in evaluation mode, on `device`.
        device: where it is.
        dimension: length of a feature.

    """

    def __init__(self, network: Network, device: str = "auto") -> None:
        self.device = _device(device)
        self.network = network.eval().to(self.device).to(memory_format=torch.channels_last)
        self.dimension = network.backbone.dimension
        self._batch = 128 if self.device.type == "cuda" else 16

    @classmethod
    def load(cls, weights: Path, device: str = "auto") -> "Embedder":
        """The embedder that `uavpipe reid train` left in the checkpoint `weights`.

        Raises:
            ReidError: no such checkpoint, a damaged one, or no such device.

        """
        return cls(load_network(weights), device)

    def embed_files(
        self, paths: Sequence[Path], *, flip: bool = False, advance: Callable[[int], None] = lambda count: None
    ) -> NDArray[np.float32]:
        """Features float32 (n, dimension) of image files, not normalised; their Euclidean distance counts.

        Args:
            paths: of the images.
            flip: average the features of image and mirror image (not in the paper).
            advance: called with the number of images done since the last call.

        Raises:
            ReidError: an image cannot be read.

        """
        size = self.network.config.height, self.network.config.width
        features = np.empty((len(paths), self.dimension), np.float32)
        with ThreadPoolExecutor(thread_name_prefix="decode") as threads:
            # The next batch is decoded while the network looks at this one.
            coming = [threads.submit(read_crop, path, *size) for path in paths[: self._batch]]
            for first in range(0, len(paths), self._batch):
                crops = np.stack([crop.result() for crop in coming])
                following = paths[first + self._batch : first + 2 * self._batch]
                coming = [threads.submit(read_crop, path, *size) for path in following]
                features[first : first + len(crops)] = self.embed(crops, flip=flip)
                advance(len(crops))
        return features

    def embed(self, crops: NDArray[np.uint8], *, flip: bool = False) -> NDArray[np.float32]:
        """Features float32 (n, dimension) of `crops`, uint8 (n, height, width, 3) RGB at the network's size."""
        images = torch.from_numpy(np.ascontiguousarray(crops)).to(self.device).permute(0, 3, 1, 2)
        with torch.inference_mode():
            features = self.network(images)
            if flip:
                features = (features + self.network(images.flip(3))) / 2
        result: NDArray[np.float32] = features.float().cpu().numpy()
        return result


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ReidError(f"device '{name}': no usable NVIDIA GPU here (uavpipe doctor); take device: auto or cpu")
    return torch.device(name)
