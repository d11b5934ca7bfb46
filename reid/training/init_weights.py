"""Initial weights of a training."""

import hashlib
import logging
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision import models

from reid.checkpoint import load_checkpoint, load_foreign
from reid.config import TrainConfig
from reid.errors import ReidError
from reid.header import read_header
from reid.network import Network, timm_trunk
from reid.weights import weights_file

_log = logging.getLogger(__name__)
_FOREIGN = (".pth", ".pt")
_HEADLESS = (*_FOREIGN, ".onnx", ".xml")
_IMAGENET = "torchvision's ImageNet weights (BSD-3-Clause, ImageNet for non-commercial research)"
_OFFLINE = "UAVPIPE_OFFLINE"  # set: never download weights


def initialise(network: Network, init: str, *, heads: bool) -> str:
    """Put the weights that `init` names into the backbone; the heads keep their random ones unless `heads`.

    Args:
        network: with random weights; changed in place.
        init: `imagenet`, `embedded` (the network bundled with uavpipe), `random`, or the path of a checkpoint:
            uavpipe's, or a foreign `.pth` whose names are torchvision's, with or without a prefix.
        heads: take neck and branches of a uavpipe checkpoint as well, where shapes match.

    Returns:
        One line: the source of the backbone's weights, and their hash. It is also logged.

    Raises:
        ReidError: the weights are missing, damaged, or of another architecture.

    """
    if init == "imagenet":
        _load_trunk(network, _imagenet(network.config.backbone), "torchvision's ImageNet weights")
    elif init != "random":
        path = weights_file(init)
        state = load_foreign(path) if path.suffix in _FOREIGN else load_checkpoint(path).state
        _load_trunk(network, state, str(path))
        if heads:
            _load_heads(network, state, path)
    line = f"{network.config.backbone} from {init}, sha256 {weights_hash(network.backbone)[:16]}"
    _log.info("backbone: %s", line)
    return line


def terms_of(config: TrainConfig) -> str:
    """Terms of the initial weights, the teachers and the recipe's data, each stated once; "" where none are known.

    Raises:
        ReidError: initial weights or a teacher are missing or damaged.

    """
    files = [weights_file(config.init) if config.init == "embedded" else config.init_file]
    files += config.loss.distillation.teachers if config.loss.distillation else ()
    stated = [read_header(path).terms for path in files if path is not None and path.suffix not in _HEADLESS]
    if config.init == "imagenet":
        trunk = config.network.backbone
        stated.append(f"weights of {trunk} (its card has their terms)" if trunk.startswith("timm:") else _IMAGENET)
    parts = [part for terms in (*stated, config.terms) for part in terms.split("; ") if part]
    return "; ".join(dict.fromkeys(parts))


def weights_hash(module: nn.Module) -> str:
    """SHA-256 over names and values of all tensors of `module`: equal weights have equal hashes."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _imagenet(backbone: str) -> Mapping[str, Tensor]:
    if backbone.startswith("timm:"):
        _announce_download(f"timm's {backbone.removeprefix('timm:')}")
        return timm_trunk(backbone.removeprefix("timm:"), pretrained=True).state_dict()
    # The first weights that torchvision published for a backbone: for ResNet-50 those of the paper's time.
    source = next(iter(models.get_model_weights(backbone)))
    cached = Path(torch.hub.get_dir()) / "checkpoints" / source.url.rsplit("/", 1)[1]
    if not cached.exists():
        _announce_download(str(cached))
    try:
        state: Mapping[str, Tensor] = source.get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as error:
        raise ReidError(
            f"init 'imagenet': {source.url} could not be downloaded ({error}); put that file into {cached.parent}, "
            "or take init: random"
        ) from None
    return state


def _announce_download(what: str) -> None:
    if os.environ.get(_OFFLINE):
        raise ReidError(
            f"init 'imagenet': {what} is not on this machine, and {_OFFLINE} forbids downloading it; "
            "put the file there, or take init: random"
        )
    _log.warning("init 'imagenet': downloading %s (%s=1 prevents this)", what, _OFFLINE)


def _load_trunk(network: Network, state: Mapping[str, Tensor], source: str) -> None:
    trunk = network.backbone.trunk
    own = {name: value for name, value in trunk.state_dict().items() if not name.endswith("num_batches_tracked")}
    first = next(iter(own))
    # A checkpoint may wrap its backbone: the names then have a prefix, found by the first layer's name.
    prefix = next((name.removesuffix(first) for name in state if name == first or name.endswith(f".{first}")), "")
    found = {name: state[prefix + name] for name in own if prefix + name in state}
    shapes = [name for name, value in found.items() if value.shape != own[name].shape]
    if len(found) < len(own) or shapes:
        example = shapes[0] if shapes else next(name for name in own if name not in found)
        raise ReidError(
            f"{source}: not the weights of a {network.config.backbone}: of its {len(own)} tensors "
            f"{len(own) - len(found)} are missing, {len(shapes)} have another shape (such as {example}); "
            "name the checkpoint's backbone in network.backbone, or take another init"
        )
    for name, value in found.items():
        if not value.isfinite().all():
            raise ReidError(f"{source}: {prefix}{name} has values that are not finite")
    trunk.load_state_dict(found, strict=False)
    exponent = state.get("backbone.exponent")
    if network.backbone.exponent is not None and exponent is not None:
        network.backbone.exponent.data.copy_(exponent)
    projection, weight = network.backbone.projection, state.get("backbone.projection.weight")
    if projection is not None and weight is not None and weight.shape == projection.weight.shape:
        projection.weight.data.copy_(weight)


def _load_heads(network: Network, state: Mapping[str, Tensor], path: Path) -> None:
    own = network.heads.state_dict()
    fitting = {
        name: state[f"heads.{name}"]
        for name, value in own.items()
        if f"heads.{name}" in state and state[f"heads.{name}"].shape == value.shape
    }
    if not fitting:
        raise ReidError(f"{path}: has no heads of matching shapes; leave init_heads out to take its backbone only")
    network.heads.load_state_dict(fitting, strict=False)
    _log.info("heads: %d of %d tensors from %s", len(fitting), len(own), path)
