"""The network: backbone, pooling, neck, and the branches used in training only (Grigorev et al. 2019)."""

import importlib
from collections import OrderedDict
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision import models

from reid.config import GlobalBranch, GroupBranch, NetworkConfig
from reid.crops import IMAGENET_MEAN, IMAGENET_STD
from reid.errors import ReidError
from reid.vision_transformer import ClassToken, TransformerTrunk

# Layers of torchvision's classifiers after their last feature maps.
_BEHIND_THE_MAPS = {"avgpool", "flatten", "dropout", "fc", "classifier", "head"}
_SMALLEST = 1e-6  # below it the gradient of GeM's power vanishes


@dataclass(frozen=True, eq=False)
class Embedded:
    """The embeddings of a batch, for the losses.

    Attributes:
        triplet: (n, d), for the triplet loss.
        groups: (groups, n, d) for the L-GM loss, or None.
        neck: (n, D), the feature after the neck, for cross-entropy.

    """

    triplet: Tensor
    groups: Tensor | None
    neck: Tensor


class Backbone(nn.Module):
    """Images to features: a trunk, a global pooling and, if asked for, a linear layer.

    Attributes:
        dimension: length of a feature; 2048 with ResNet-50 and no linear layer.

    """

    mean: Tensor
    std: Tensor

    def __init__(self, trunk: nn.Module, pooling: str, projection: int | None = None) -> None:
        super().__init__()
        self.trunk = trunk
        self.exponent = nn.Parameter(torch.tensor(3.0)) if pooling == "gem" else None
        self.register_buffer("mean", 255 * torch.tensor(IMAGENET_MEAN)[:, None, None], persistent=False)
        self.register_buffer("std", 255 * torch.tensor(IMAGENET_STD)[:, None, None], persistent=False)
        channels = _channels(trunk)
        self.projection = None if projection is None else nn.Linear(channels, projection, bias=False)
        self.dimension = projection or channels

    def forward(self, images: Tensor) -> Tensor:
        """Features float32 (n, dimension) of `images`, uint8 (n, 3, H, W) RGB; not normalised."""
        pixels = ((images - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        maps: Tensor = self.trunk(pixels).float()
        if self.exponent is None:
            pooled = maps.mean((2, 3))
        else:  # Radenovic et al. 2018, eq. 3.
            pooled = maps.clamp(min=_SMALLEST).pow(self.exponent).mean((2, 3)).pow(1 / self.exponent)
        return pooled if self.projection is None else self.projection(pooled)


class _Groups(nn.Module):
    """The group branch: (n, D) to (groups, n, dimension)."""

    def __init__(self, config: GroupBranch, feature: int) -> None:
        super().__init__()
        if feature % config.groups:
            raise ReidError(
                f"network.group_branch.groups: {config.groups} does not divide the feature's {feature} channels"
            )
        self._groups = config.groups
        # On pooled features the paper's shared 1x1 convolution is a linear layer.
        self.shared = nn.Sequential(
            nn.Linear(feature // config.groups, config.width, bias=False),
            nn.BatchNorm1d(config.width),
            nn.ReLU(inplace=True),
        )
        self.own = nn.ModuleList(
            nn.Sequential(nn.Linear(config.width, config.dimension), nn.BatchNorm1d(config.dimension, affine=False))
            if config.norm
            else nn.Linear(config.width, config.dimension)
            for _ in range(config.groups)
        )

    def forward(self, features: Tensor) -> Tensor:
        parts = features.reshape(len(features) * self._groups, -1)
        shared = self.shared(parts).reshape(len(features), self._groups, -1)
        return torch.stack([layer(shared[:, group]) for group, layer in enumerate(self.own)])


class Heads(nn.Module):
    """The layers after the feature: the neck, and the branches for the losses.

    In distributed training each process runs them on the features of all processes, so that batch norm, dropout and
    losses see the whole batch.
    """

    def __init__(self, config: NetworkConfig, feature: int) -> None:
        super().__init__()
        self.neck: nn.Module = nn.Identity()
        if config.neck == "batch_norm":
            self.neck = nn.BatchNorm1d(feature)
            self.neck.bias.requires_grad_(False)  # Luo et al. 2019: the classifier's planes go through the origin
        branch = config.global_branch
        self.global_branch: nn.Module = nn.Identity() if branch is None else _global_branch(branch, feature)
        self.group_branch = None if config.group_branch is None else _Groups(config.group_branch, feature)

    def forward(self, features: Tensor) -> Embedded:
        """The embeddings of `features` (n, D)."""
        groups = None if self.group_branch is None else self.group_branch(features)
        return Embedded(self.global_branch(features), groups, self.neck(features))


def _global_branch(config: GlobalBranch, feature: int) -> nn.Module:
    return nn.Sequential(
        nn.Linear(feature, config.width, bias=False),
        nn.BatchNorm1d(config.width),
        nn.ReLU(inplace=True),
        nn.Dropout(config.dropout),
        nn.Linear(config.width, config.dimension),
    )


class Network(nn.Module):
    """Backbone and heads; called with images it gives the features that a search compares."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = Backbone(_trunk(config), config.pooling, config.projection)
        self.heads = Heads(config, self.backbone.dimension)

    def forward(self, images: Tensor) -> Tensor:
        """Features float32 (n, D) of `images`, uint8 (n, 3, H, W) RGB: after the neck, not normalised."""
        features: Tensor = self.heads.neck(self.backbone(images))
        return F.normalize(features) if self.config.normalised else features


def _trunk(config: NetworkConfig) -> nn.Module:
    """The layers of `config.backbone` up to its last feature maps, with random weights and the library's names."""
    library, _, name = config.backbone.rpartition(":")
    if library == "timm":
        return timm_trunk(name, pretrained=False)
    if library or name not in models.list_models(module=models):
        raise ReidError(
            f"network.backbone: torchvision has no '{config.backbone}'; expected a name such as resnet50, "
            "or timm:NAME"
        )
    whole = models.get_model(name, weights=None)
    if isinstance(whole, models.VisionTransformer):
        if config.pooling == "gem":
            raise ReidError("network.pooling: 'gem' is for feature maps; a vision transformer has a class token")
        transformer = TransformerTrunk(whole)
        transformer.check_size(config.height, config.width)
        return transformer
    if isinstance(whole, models.ResNet) and config.last_stride == 1:
        for layer in whole.layer4.modules():
            if isinstance(layer, nn.Conv2d):
                layer.stride = (1, 1)
    if isinstance(whole, models.MobileNetV2) and config.last_stride == 1:
        whole.features[14].conv[1][0].stride = (1, 1)  # the first of the blocks of 160 channels
    layers = [(part, layer) for part, layer in whole.named_children() if part not in _BEHIND_THE_MAPS]
    return nn.Sequential(OrderedDict(layers))


def timm_trunk(name: str, *, pretrained: bool) -> nn.Module:
    """A trunk from timm, with the weights that timm has for it if `pretrained`.

    Raises:
        ReidError: timm is not installed, does not know the name, or cannot load the weights.

    """
    try:
        timm = importlib.import_module("timm")
    except ImportError:
        raise ReidError(
            f"network.backbone: 'timm:{name}' needs timm; pip install timm, or take a backbone of torchvision"
        ) from None
    made = {"pretrained": pretrained, "num_classes": 0, "global_pool": ""}
    try:
        try:  # transformers take these two, so that images need not be square
            trunk: nn.Module = timm.create_model(name, **made, dynamic_img_size=True, dynamic_img_pad=True)
        except TypeError:
            trunk = timm.create_model(name, **made)
    except (RuntimeError, OSError) as error:
        raise ReidError(f"network.backbone: timm cannot make '{name}': {' '.join(str(error).split())}") from None
    return trunk if _output_of(trunk) != 3 else ClassToken(trunk)


def _output_of(trunk: nn.Module) -> int:
    """Number of dimensions of what `trunk` gives; 0: it does not run alone."""
    maps = _probed(trunk)
    return 0 if maps is None else maps.ndim


def _probed(trunk: nn.Module) -> Tensor | None:
    """The output of `trunk` for one small image; None: its layers are not a sequence."""
    try:
        with torch.inference_mode():
            maps = trunk.eval()(torch.zeros(1, 3, 64, 64))
    except (RuntimeError, ValueError, TypeError, AssertionError):
        return None
    return maps if isinstance(maps, Tensor) else None


def _channels(trunk: nn.Module) -> int:
    """Channels of the feature maps of `trunk`, found by running it."""
    maps = _probed(trunk)
    if maps is None or maps.ndim != 4:
        raise ReidError(
            "network.backbone: has no feature maps to pool; expected convolutions or a vision transformer"
        )
    trunk.train()
    return maps.shape[1]
