"""The parts of a recipe: architecture, initial weights, optimiser, learning rate."""

import math
from pathlib import Path

import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN

from detector.config import NAMED_WEIGHTS, Preset, TrainConfig
from detector.errors import DetectorError
from detector.models.checkpoint import (
    BOX_HEAD,
    load_checkpoint,
    load_into,
    load_torchvision,
    person_only,
    read_state,
    with_anchors_of,
)
from detector.models.faster_rcnn import freeze_stem, load_body, load_imagenet_backbone
from detector.models.header import read_header
from detector.models.presets import ARCHITECTURES, EFFICIENTNET, Architecture
from detector.models.public import COCO, IMAGENET
from detector.models.weights import resolve

# Of the initial weights that have no header.
_TERMS = {
    "imagenet": IMAGENET,
    "efficientnet-lite0": "EfficientNet-lite0's weights (Apache-2.0, ImageNet for non-commercial research)",
    "coco": COCO.terms,
}
# Named initial weights that fit a preset.
_NAMED: dict[Preset, tuple[str, ...]] = {
    "small": ("random", "imagenet", "embedded"),
    "fpn": ("random", "imagenet", "coco"),
    "paper-c4": ("random", "imagenet", "coco"),
}


def architecture_of(config: TrainConfig) -> Architecture:
    """The preset's architecture, or that of the initial checkpoint, with the recipe's own anchors and scale.

    Raises:
        DetectorError: the anchors do not fit the preset's levels; there are no such initial weights.

    """
    own = config.model_dump(include={"anchor_sizes", "anchor_ratios", "resize"}, exclude_none=True)
    try:
        return Architecture.model_validate(_start(config).model_dump() | own | {"tile_scores": None})
    except ValidationError as error:
        raise DetectorError("; ".join(problem["msg"] for problem in error.errors())) from None


def _start(config: TrainConfig) -> Architecture:
    path = _checkpoint(config.init, config.preset)
    if path is not None and not _is_foreign(path):
        found = read_header(path).architecture
        if config.body not in (None, found.body):
            raise DetectorError(
                f"{path}: its body is {found.body}, that of the recipe {config.body}; take body: null"
            )
        if found.preset == config.preset:  # with other anchors its box offsets would be wrong
            return found
    return EFFICIENTNET if config.body == "efficientnet-lite0" else ARCHITECTURES[config.preset]


def _checkpoint(init: str, preset: Preset) -> Path | None:
    """The file of the initial weights; None: they are no checkpoint.

    Raises:
        DetectorError: there is none, or a named one is of another preset, which is checked before a download.

    """
    if init in ("random", "imagenet"):
        return None
    choices = f"'{preset}' starts from {', '.join(_NAMED[preset])} or a file (.safetensors, .pth)"
    if init not in NAMED_WEIGHTS:
        if not Path(init).is_file():
            raise DetectorError(f"init '{init}': no such file; {choices}")
        return Path(init)
    if init != "auto" and init not in _NAMED[preset]:
        raise DetectorError(f"init '{init}': weights of another preset; {choices}")
    return resolve(init, None if init == "coco" else preset).path


def _is_foreign(path: Path) -> bool:
    return path.suffix in (".pth", ".pt")


def initialise(model: FasterRCNN, architecture: Architecture, init: str) -> None:
    """Put the weights that `init` names (see `TrainConfig.init`) into `model`; "random" leaves it as it is.

    Of a `.pth` without a box head, and of a detector with FPN for `paper-c4`, it is the ResNet alone.

    Raises:
        DetectorError: no such weights, damaged ones, or of another architecture.

    """
    path = _checkpoint(init, architecture.preset)
    body = _body(path, architecture.preset) if path is not None and _is_foreign(path) else None
    if init == "imagenet":
        load_imagenet_backbone(model, architecture)
    elif path is not None and body is not None:
        load_body(model, body, path)
    elif path is not None:
        foreign = _is_foreign(path)
        checkpoint = load_torchvision(path, architecture.preset) if foreign else load_checkpoint(path)
        load_into(model, with_anchors_of(person_only(checkpoint), model), path)
    if architecture.norm == "frozen" and (init == "imagenet" or body is not None):
        freeze_stem(model)


def _body(path: Path, preset: Preset) -> dict[str, Tensor] | None:
    """The tensors of a file of which only the ResNet fits `preset`; None: all of it may."""
    state = read_state(path)
    has_fpn = any(name.startswith("backbone.fpn.") for name in state)
    return state if BOX_HEAD not in state or (has_fpn and preset == "paper-c4") else None


def terms_of(config: TrainConfig) -> str:
    """Terms of the initial weights and of the recipe's data, each stated once; "" where none are known.

    Raises:
        DetectorError: there are no such initial weights.

    """
    lite = config.init == "imagenet" and config.body == "efficientnet-lite0"
    started_from = _TERMS.get("efficientnet-lite0" if lite else config.init, "")
    if not started_from and (path := _checkpoint(config.init, config.preset)) and not _is_foreign(path):
        started_from = read_header(path).terms
    return "; ".join(dict.fromkeys(filter(None, (*started_from.split("; "), config.terms))))


def make_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """The optimiser of the weights of `model` that are not frozen."""
    # Norms and biases are not decayed, as is usual.
    parameters = [value for value in model.parameters() if value.requires_grad]
    groups = [
        {"params": [value for value in parameters if value.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [value for value in parameters if value.ndim <= 1], "weight_decay": 0.0},
    ]
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=config.learning_rate, momentum=config.momentum)
    return torch.optim.AdamW(groups, lr=config.learning_rate)


def learning_rate(config: TrainConfig, iteration: int) -> float:
    """The rate at `iteration` (from 0): linear warm-up, then a cosine to zero or cuts to a tenth."""
    rate = config.learning_rate
    if iteration < config.warmup:
        return rate * (iteration + 1) / config.warmup
    if config.schedule == "steps":
        return rate * 0.1 ** sum(iteration >= step for step in config.steps)
    progress = (iteration - config.warmup) / max(1, config.iterations - config.warmup)
    return rate * 0.5 * (1 + math.cos(math.pi * progress))
