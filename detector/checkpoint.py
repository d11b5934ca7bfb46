"""Checkpoints on disk: safetensors with a description of what they are, never anything that runs code."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from detector.config import Resize
from detector.errors import DetectorError
from detector.header import read_header


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Weights and what they belong to.

    Attributes:
        preset: architecture.
        classes: of its box head, background included; person is class 1.
        resize: how images were scaled in training.
        state: names and tensors of the model.

    """

    preset: str
    classes: int
    resize: Resize
    state: Mapping[str, Tensor]


def save_checkpoint(
    path: Path, state: Mapping[str, Tensor], *, preset: str, resize: Resize, training: Mapping[str, Any]
) -> None:
    """Write a person detector's `state` to `path`, atomically; floats as float16, which halves the file.

    Args:
        path: `….safetensors`.
        state: names and tensors.
        preset: architecture.
        resize: how images were scaled in training.
        training: where the weights come from, for people to read.

    """
    tensors = {
        name: (value.half() if value.is_floating_point() else value).detach().cpu().contiguous()
        for name, value in state.items()
    }
    described = {
        "format": "uavpipe.detector.1",
        "preset": preset,
        "classes": "2",
        "resize": resize.model_dump_json(exclude_none=True),
        "training": json.dumps(training, default=str),
    }
    temporary = path.with_name(f".part-{path.name}")
    save_file(tensors, temporary, metadata=described)
    temporary.replace(path)


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a uavpipe checkpoint; floats come back as float32.

    Raises:
        DetectorError: missing, torn, or not one of uavpipe's.

    """
    header = read_header(path)
    try:
        with safe_open(path, "pt") as file:
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dict
    except (SafetensorError, OSError) as error:
        raise DetectorError(f"{path}: damaged checkpoint ({error}); copy or download it again") from None
    state = {name: value.float() if value.is_floating_point() else value for name, value in state.items()}
    return Checkpoint(header.preset, header.classes, header.resize, state)


def load_torchvision(path: Path, preset: str, resize: Resize) -> Checkpoint:
    """Read a torchvision state dict (`.pth`) for `preset`; a pickle that holds anything but tensors is refused.

    Raises:
        DetectorError: not such a file.

    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever its unpickler met: every way means "not weights"
        reason = " ".join(str(error).split())[:120]
        raise DetectorError(
            f"{path}: not a checkpoint of plain tensors ({reason}); nothing in it was run. "
            "Expected a torchvision state dict or a uavpipe .safetensors file"
        ) from None
    if isinstance(state, dict) and isinstance(state.get("model"), dict):
        state = state["model"]
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()) or not state:
        raise DetectorError(f"{path}: expected a state dict of tensors, found {type(state).__name__}")
    predictor = state.get("roi_heads.box_predictor.cls_score.weight")
    if predictor is None or predictor.ndim != 2:
        raise DetectorError(f"{path}: no box head in it; expected the weights of a torchvision Faster R-CNN")
    return Checkpoint(preset, predictor.shape[0], resize, state)


def load_into(model: nn.Module, checkpoint: Checkpoint, source: Path | str) -> None:
    """Put the checkpoint's tensors into `model`, all of them or none.

    Raises:
        DetectorError: names or shapes differ: the checkpoint is of another architecture.

    """
    own = model.state_dict()
    missing = [name for name in own if name not in checkpoint.state]
    foreign = [name for name in checkpoint.state if name not in own]
    # torchvision's own checkpoints lack the batch counters of frozen batch norms: they carry no knowledge.
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    foreign = [name for name in foreign if not name.endswith("num_batches_tracked")]
    shapes = [name for name, value in checkpoint.state.items() if name in own and own[name].shape != value.shape]
    if missing or foreign or shapes:
        example = (missing or foreign or shapes)[0]
        raise DetectorError(
            f"{source}: weights of another architecture than '{checkpoint.preset}': {len(missing)} tensors "
            f"missing, {len(foreign)} unknown, {len(shapes)} of another shape (such as {example})"
        )
    model.load_state_dict(dict(checkpoint.state), strict=False)
