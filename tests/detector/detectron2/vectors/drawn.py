"""Weights and a picture that are drawn anew wherever they are needed, so that only detectron2's answers are stored.

`RandomState` is the generator whose numbers NumPy has promised never to change.
"""

import zlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

# How much a layer's output varies for one of its input, where it is not as in He's initialisation (√2). Such that
# scores lie anywhere between 0 and 1, and rounding does not grow from block to block.
_GAINS = {"fpn_lateral": 1.0, "fpn_output": 1.0}
_HEAD_GAINS = {"objectness_logits": 3.0, "anchor_deltas": 0.2, "cls_score": 2.0, "bbox_pred": 0.5}
_PIXELS_STD = 60.0


def draw_weights(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, NDArray[np.float32]]:
    """The tensors of a detectron2 model by name; each depends on its name and shape alone."""
    return {name: _tensor(name, shape) for name, shape in shapes.items() if not name.startswith("pixel_")}


def _tensor(name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    centred = np.random.RandomState(zlib.crc32(name.encode())).random_sample(shape).astype(np.float32) * 2 - 1
    head = next((gain for part, gain in _HEAD_GAINS.items() if f"{part}.weight" in name), None)
    if head is not None:  # without what all places have in common, or one class would win everywhere
        rows = centred - centred.mean(axis=1, keepdims=True)
        return rows * np.float32(head * np.sqrt(3 / np.prod(shape[1:])))
    if len(shape) > 1:
        gain = next((gain for part, gain in _GAINS.items() if part in name), np.sqrt(2))
        return centred * np.float32(gain * np.sqrt(3 / np.prod(shape[1:])))
    if name.endswith("norm.running_var"):
        usual = 2 * _PIXELS_STD**2 if ".stem." in name else 1.0
        return np.float32(usual) * (1 + centred / 3)
    if name.endswith("norm.weight"):
        return (1 + centred / 3) * np.float32(0.22 if ".conv3." in name else 1)
    return centred / 5


def draw_picture(height: int = 300, width: int = 422) -> NDArray[np.uint8]:
    """A picture (height, width, 3) of coloured squares under noise; any order of channels."""
    random = np.random.RandomState(7)
    squares = random.randint(0, 200, (-(-height // 25), -(-width // 25), 3))
    large = np.kron(squares, np.ones((25, 25, 1), np.int64))[:height, :width]
    return (large + random.randint(0, 56, (height, width, 3))).astype(np.uint8)
