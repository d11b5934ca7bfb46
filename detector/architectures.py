"""Faster R-CNN with RoIAlign in three sizes, built from torchvision's modules.

    paper-c4  ResNet-50 C4, plain 800x648, RPN sizes 32..512: the paper's (Detectron's R50-C4)
    fpn       ResNet-50 FPN, anchors and input made for the small persons of drone video
    small     ResNet-18 up to stride 16 and a narrow FPN, for CPUs

Images come scaled (see `detector.images`), so the model's own transform only normalises and pads.
"""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import resnet18, resnet50
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.rpn import AnchorGenerator, RPNHead
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.ops import FeaturePyramidNetwork, FrozenBatchNorm2d, MultiScaleRoIAlign
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from detector.errors import DetectorError
from detector.presets import Architecture

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

_Norm = Callable[[int], nn.Module]


class _Normalise(GeneralizedRCNNTransform):
    """torchvision's transform without its resize: ours happens outside, alike in training and detection."""

    def __init__(self, size_divisible: int) -> None:
        super().__init__(1, 1, IMAGENET_MEAN, IMAGENET_STD, size_divisible=size_divisible)

    def resize(self, image: Tensor, target: Any = None) -> tuple[Tensor, Any]:
        return image, target

    def normalize(self, image: Tensor) -> Tensor:
        """`image` uint8 or float (3, H, W), 0..255, RGB."""
        return super().normalize(image.float() / 255)

    def batch_images(self, images: list[Tensor], size_divisible: int = 32) -> Tensor:
        batch: Tensor = super().batch_images(images, size_divisible)
        return batch.contiguous(memory_format=torch.channels_last)


class _FullPrecisionRPNHead(RPNHead):
    """torchvision's RPN head, whose output is float32 under autocast too.

    torchvision decodes boxes in the type of the deltas: in float16 a corner at 1,500 px would be rounded to a
    whole pixel, in bfloat16 to eight.
    """

    def forward(self, features: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Logits (n, a, H, W) and deltas (n, 4a, H, W) of each level, a anchors a place."""
        logits, deltas = super().forward(features)
        return [level.float() for level in logits], [level.float() for level in deltas]


class _FullPrecisionPredictor(FastRCNNPredictor):
    """torchvision's box predictor with float32 output, for the same reason."""

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (n, classes) and deltas (n, 4 classes) of `features` (n, c)."""
        logits, deltas = super().forward(features)
        return logits.float(), deltas.float()


class _SmallBackbone(nn.Module):
    """ResNet-18 up to layer3 with an FPN over strides 4, 8, 16."""

    def __init__(self, norm: _Norm, channels: int = 64) -> None:
        super().__init__()
        body = resnet18(norm_layer=norm)
        self.body = IntermediateLayerGetter(body, {"layer1": "0", "layer2": "1", "layer3": "2"})
        self.fpn = FeaturePyramidNetwork([64, 128, 256], channels)
        self.out_channels = channels

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Feature maps (n, 64, H/s, W/s) for s = 4, 8, 16 of `images` (n, 3, H, W)."""
        features: dict[str, Tensor] = self.fpn(self.body(images))
        return features


class _C4Backbone(nn.Module):
    """ResNet-50 up to layer3 (C4)."""

    def __init__(self, norm: _Norm) -> None:
        super().__init__()
        self.body = IntermediateLayerGetter(resnet50(norm_layer=norm), {"layer3": "0"})
        self.out_channels = 1024

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """One feature map (n, 1024, H/16, W/16)."""
        features: dict[str, Tensor] = self.body(images)
        return features


class _C4Head(nn.Module):
    """ResNet-50's layer4 over each RoI, then the mean: (n, 1024, 14, 14) to (n, 2048)."""

    def __init__(self, norm: _Norm) -> None:
        super().__init__()
        self.layer4 = resnet50(norm_layer=norm).layer4

    def forward(self, rois: Tensor) -> Tensor:
        features: Tensor = self.layer4(rois)
        return features.mean(dim=(2, 3))


class _FpnBackbone(nn.Module):
    """ResNet-50 with an FPN over strides 4 to 64."""

    def __init__(self, norm: _Norm) -> None:
        super().__init__()
        layers = {f"layer{number + 1}": str(number) for number in range(4)}
        self.body = IntermediateLayerGetter(resnet50(norm_layer=norm), layers)
        self.fpn = FeaturePyramidNetwork([256, 512, 1024, 2048], 256, LastLevelMaxPool())
        self.out_channels = 256

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Feature maps (n, 256, H/s, W/s) for s = 4, 8, 16, 32, 64."""
        features: dict[str, Tensor] = self.fpn(self.body(images))
        return features


def build(architecture: Architecture, *, classes: int = 2, rois_per_image: int | None = None) -> FasterRCNN:
    """The model of `architecture` with random weights; class 1 is person, 0 the background.

    In training the model takes images (3, H, W) in 0..255 RGB and targets with `boxes` float (n, 4) xyxy and
    `labels`, and gives a dict of losses; in `eval()` it gives boxes in pixels of the image it was given.

    Args:
        architecture: one of `detector.presets.ARCHITECTURES`, or a checkpoint's own.
        classes: background included; 91 for torchvision's COCO weights.
        rois_per_image: RoIs a training image's head sees; None: as the architecture says.

    """
    backbone, pool, head, features = _parts(architecture)
    levels, ratios = len(architecture.anchor_sizes), len(architecture.anchor_ratios)
    before, after = architecture.training_proposals
    test_before, test_after = architecture.proposals
    model = FasterRCNN(
        backbone,
        rpn_anchor_generator=AnchorGenerator(architecture.anchor_sizes, (architecture.anchor_ratios,) * levels),
        rpn_head=_FullPrecisionRPNHead(backbone.out_channels, len(architecture.anchor_sizes[0]) * ratios),
        rpn_pre_nms_top_n_train=before,
        rpn_post_nms_top_n_train=after,
        rpn_pre_nms_top_n_test=test_before,
        rpn_post_nms_top_n_test=test_after,
        box_roi_pool=pool,
        box_head=head,
        box_predictor=_FullPrecisionPredictor(features, classes),
        box_batch_size_per_image=rois_per_image or architecture.rois_per_image,
    )
    model.transform = _Normalise(architecture.size_divisible)
    model.to(memory_format=torch.channels_last)
    return model


def _parts(architecture: Architecture) -> tuple[Any, nn.Module, nn.Module, int]:
    """Backbone, RoI pooling, head, and the number of features that the head gives."""
    norm = partial(
        FrozenBatchNorm2d if architecture.norm == "frozen" else nn.BatchNorm2d, eps=architecture.norm_eps
    )
    if architecture.preset == "small":
        pool = MultiScaleRoIAlign(["0", "1", "2"], 7, 2)
        return _SmallBackbone(norm), pool, TwoMLPHead(64 * 7 * 7, 256), 256
    if architecture.preset == "fpn":
        pool = MultiScaleRoIAlign(["0", "1", "2", "3"], 7, 2)
        return _FpnBackbone(norm), pool, TwoMLPHead(256 * 7 * 7, 1024), 1024
    return _C4Backbone(norm), MultiScaleRoIAlign(["0"], 14, 0), _C4Head(norm), 2048


def load_imagenet_backbone(model: FasterRCNN, architecture: Architecture) -> None:
    """Put torchvision's ImageNet weights (downloaded once) into the backbone and, for C4, the head.

    Raises:
        DetectorError: they are neither on this machine nor to be had from the network.

    """
    from torchvision.models import ResNet18_Weights, ResNet50_Weights

    # V1: what torchvision's own detectors start from.
    source = (ResNet18_Weights if architecture.preset == "small" else ResNet50_Weights).IMAGENET1K_V1
    try:
        state: OrderedDict[str, Tensor] = source.get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as error:
        raise DetectorError(
            f"init 'imagenet': {source.url} could not be had ({error}); put that file into torch's cache "
            "(~/.cache/torch/hub/checkpoints), or take init: random"
        ) from None
    own = model.state_dict()
    taken = {}
    for name, value in state.items():
        for target in (f"backbone.body.{name}", f"roi_heads.box_head.{name}"):
            if target in own and own[target].shape == value.shape:
                taken[target] = value
    model.load_state_dict(taken, strict=False)


def freeze_stem(model: FasterRCNN) -> None:
    """Hold ResNet's stem and first stage fixed, as Detectron and torchvision do when they start from ImageNet."""
    for name, parameter in model.backbone.body.named_parameters():
        if name.startswith(("conv1.", "bn1.", "layer1.")):
            parameter.requires_grad_(False)
