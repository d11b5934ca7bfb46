"""Checkpoints: safetensors files with a description of the model; reading one never runs code."""

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from detector.errors import DetectorError
from detector.files import atomic_file
from detector.models.header import describe, read_header
from detector.models.presets import COCO_FPN, TORCHVISION, Architecture

_COCO_CLASSES = 91
BOX_HEAD = "roi_heads.box_predictor.cls_score.weight"  # what a whole detector has
_BOXES = "roi_heads.box_predictor.bbox_pred."
# torchvision renamed two modules in 0.13; its COCO files still carry the names of before.
_RENAMED = (
    (re.compile(r"^rpn\.head\.conv\.(weight|bias)$"), r"rpn.head.conv.0.0.\1"),
    (
        re.compile(r"^backbone\.fpn\.(inner|layer)_blocks\.(\d+)\.(weight|bias)$"),
        r"backbone.fpn.\1_blocks.\2.0.\3",
    ),
)


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Weights and the model they belong to.

    Attributes:
        architecture: of the model.
        classes: of its box head, background included; person is class 1.
        state: names and tensors of the model.

    """

    architecture: Architecture
    classes: int
    state: Mapping[str, Tensor]


def save_checkpoint(
    path: Path,
    state: Mapping[str, Tensor],
    *,
    architecture: Architecture,
    training: Mapping[str, Any],
    classes: int = 2,
    exact: bool = False,
) -> None:
    """Write a person detector's `state` to `path`, atomically.

    Matrices and kernels are stored as float16, which halves the file. The few vectors keep their type, since the
    variance of a batch norm may not fit into float16.

    Args:
        path: `….safetensors`.
        state: names and tensors.
        architecture: of the model.
        training: provenance of the weights, for people to read.
        classes: of the box head, background included.
        exact: store nothing as float16.

    """
    tensors = {
        name: (value.half() if value.is_floating_point() and value.ndim > 1 and not exact else value)
        .detach()
        .cpu()
        .contiguous()
        for name, value in state.items()
    }
    with atomic_file(path) as temporary:
        save_file(tensors, temporary, metadata=describe(architecture, dict(training), classes))


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
    return Checkpoint(header.architecture, header.classes, _float32(state))


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a state dict (`.pth`), by name; a pickle with anything but tensors is refused.

    Raises:
        DetectorError: not such a file.

    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of pickle protocols; our one line is enough
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # torch raises whatever its unpickler meets: all of it means "not weights"
        raise DetectorError(
            f"{path}: not a checkpoint of plain tensors; nothing in it was run. "
            "Expected a torchvision state dict or a uavpipe .safetensors file"
        ) from None
    if isinstance(state, dict) and isinstance(state.get("model"), dict):
        state = state["model"]
    if (
        not isinstance(state, dict)
        or not state
        or not all(isinstance(name, str) and isinstance(value, Tensor) for name, value in state.items())
    ):
        raise DetectorError(f"{path}: expected a state dict of tensors, found {type(state).__name__}")
    return state


def load_torchvision(path: Path, preset: str) -> Checkpoint:
    """Read a torchvision state dict (`.pth`) for `preset`; a pickle with anything but tensors is refused.

    The model has torchvision's anchors and scale, since the weights were trained with them.

    Raises:
        DetectorError: not such a file.

    """
    state = read_state(path)
    predictor = state.get(BOX_HEAD)
    if predictor is None or predictor.ndim != 2 or len(predictor) < 2:
        raise DetectorError(
            f"{path}: no box head in it; expected the weights of a torchvision Faster R-CNN "
            "('uavpipe detector import-detectron2' takes detectron2's)"
        )
    classes = len(predictor)
    coco = preset == "fpn" and classes == _COCO_CLASSES
    state = {_renamed(name): value for name, value in state.items()}
    # Background and person: other boxes are not needed.
    state |= {name: value[:8] for name, value in state.items() if name.startswith(_BOXES)}
    return Checkpoint(COCO_FPN if coco else TORCHVISION[preset], classes, _float32(state))


def _float32(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.float() if value.is_floating_point() else value for name, value in state.items()}


def _renamed(name: str) -> str:
    for pattern, new in _RENAMED:
        name = pattern.sub(new, name)
    return name


def person_only(checkpoint: Checkpoint) -> Checkpoint:
    """`checkpoint` with a box head of two classes, background and person, to start a training from.

    Its scores differ from those of the whole head, since the softmax has fewer classes.
    """
    if checkpoint.classes == 2:
        return checkpoint
    state = dict(checkpoint.state)
    for name, rows in (("cls_score", 2), ("bbox_pred", 8)):
        for part in ("weight", "bias"):
            key = f"roi_heads.box_predictor.{name}.{part}"
            if key in state:
                state[key] = state[key][:rows]
    return replace(checkpoint, classes=2, state=state)


def with_anchors_of(checkpoint: Checkpoint, model: nn.Module) -> Checkpoint:
    """`checkpoint`, to start a training of `model` from.

    If its RPN has another number of anchors per place than `model`, the RPN's two output layers are those of
    `model`. All other layers serve any anchors.
    """
    own = model.state_dict()
    state = dict(checkpoint.state)
    for name in ("cls_logits", "bbox_pred"):
        for part in ("weight", "bias"):
            key = f"rpn.head.{name}.{part}"
            if key in state and key in own and state[key].shape[0] != own[key].shape[0]:
                state[key] = own[key]
    return replace(checkpoint, state=state)


def load_into(model: nn.Module, checkpoint: Checkpoint, source: Path | str) -> None:
    """Put the checkpoint's tensors into `model`, all of them or none.

    Raises:
        DetectorError: names or shapes differ (the checkpoint is of another architecture), or a weight is not
            a finite number.

    """
    own = model.state_dict()
    missing = [name for name in own if name not in checkpoint.state]
    foreign = [name for name in checkpoint.state if name not in own]
    # torchvision's own checkpoints lack the batch counters of frozen batch norms, which have no effect.
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    foreign = [name for name in foreign if not name.endswith("num_batches_tracked")]
    shapes = [name for name, value in checkpoint.state.items() if name in own and own[name].shape != value.shape]
    if missing or foreign or shapes:
        example = (missing or foreign or shapes)[0]
        raise DetectorError(
            f"{source}: not the weights of '{checkpoint.architecture.preset}': {len(missing)} tensors "
            f"missing, {len(foreign)} unknown, {len(shapes)} of another shape (such as {example}); "
            "name the checkpoint's own architecture as preset, or take other weights"
        )
    for name, value in checkpoint.state.items():
        if value.is_floating_point() and not value.isfinite().all():
            raise DetectorError(f"{source}: {name} has values that are not finite; take an earlier checkpoint")
    model.load_state_dict(dict(checkpoint.state), strict=False)
