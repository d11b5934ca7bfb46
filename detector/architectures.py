"""Faster R-CNN with RoIAlign in three sizes, built from torchvision's modules.

    paper-c4  ResNet-50 C4, plain 800x648, RPN sizes 32..512: the paper's (Detectron's R50-C4)
    fpn       ResNet-50 FPN, anchors and input made for the small persons of drone video
    small     ResNet-18 up to stride 16 and a narrow FPN, for CPUs

Images come scaled (see `detector.preprocess`), so the model's own transform only normalises and pads.
"""

from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import resnet18, resnet50
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.rpn import AnchorGenerator
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.ops import FeaturePyramidNetwork, FrozenBatchNorm2d, MultiScaleRoIAlign
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from detector.presets import ARCHITECTURES

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


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


class _SmallBackbone(nn.Module):
    """ResNet-18 up to layer3 with an FPN over strides 4, 8, 16."""

    def __init__(self, channels: int = 64) -> None:
        super().__init__()
        self.body = IntermediateLayerGetter(resnet18(), {"layer1": "0", "layer2": "1", "layer3": "2"})
        self.fpn = FeaturePyramidNetwork([64, 128, 256], channels)
        self.out_channels = channels

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Feature maps (n, 64, H/s, W/s) for s = 4, 8, 16 of `images` (n, 3, H, W)."""
        features: dict[str, Tensor] = self.fpn(self.body(images))
        return features


class _C4Backbone(nn.Module):
    """ResNet-50 up to layer3 (C4)."""

    def __init__(self) -> None:
        super().__init__()
        self.body = IntermediateLayerGetter(resnet50(norm_layer=FrozenBatchNorm2d), {"layer3": "0"})
        self.out_channels = 1024

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """One feature map (n, 1024, H/16, W/16)."""
        features: dict[str, Tensor] = self.body(images)
        return features


class _C4Head(nn.Module):
    """ResNet-50's layer4 over each RoI, then the mean: (n, 1024, 14, 14) to (n, 2048)."""

    def __init__(self) -> None:
        super().__init__()
        self.layer4 = resnet50(norm_layer=FrozenBatchNorm2d).layer4

    def forward(self, rois: Tensor) -> Tensor:
        features: Tensor = self.layer4(rois)
        return features.mean(dim=(2, 3))


class _FpnBackbone(nn.Module):
    """ResNet-50 with an FPN over strides 4 to 64."""

    def __init__(self) -> None:
        super().__init__()
        layers = {f"layer{number + 1}": str(number) for number in range(4)}
        self.body = IntermediateLayerGetter(resnet50(norm_layer=FrozenBatchNorm2d), layers)
        self.fpn = FeaturePyramidNetwork([256, 512, 1024, 2048], 256, LastLevelMaxPool())
        self.out_channels = 256

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Feature maps (n, 256, H/s, W/s) for s = 4, 8, 16, 32, 64."""
        features: dict[str, Tensor] = self.fpn(self.body(images))
        return features


def build(preset: str, *, classes: int = 2, rois_per_image: int | None = None) -> FasterRCNN:
    """The model of `preset` with random weights; class 1 is person, 0 the background.

    Args:
        preset: a key of `detector.presets.ARCHITECTURES`.
        classes: background included; 91 for torchvision's COCO weights.
        rois_per_image: RoIs a training image's head sees; None: 512, for `small` 64.

    In training the model takes images (3, H, W) in 0..255 RGB and targets with `boxes` float (n, 4) xyxy and
    `labels`, and gives a dict of losses; in `eval()` it gives boxes in pixels of the image it was given.

    """
    architecture = ARCHITECTURES[preset]
    before, after = architecture.proposals
    backbone, pool, head, predictor = _parts(preset, classes)
    model = FasterRCNN(
        backbone,
        rpn_anchor_generator=AnchorGenerator(
            architecture.anchor_sizes, (architecture.anchor_ratios,) * len(architecture.anchor_sizes)
        ),
        rpn_pre_nms_top_n_train=before * 2,
        rpn_post_nms_top_n_train=after * 2 if preset != "small" else after,
        rpn_pre_nms_top_n_test=before,
        rpn_post_nms_top_n_test=after,
        box_roi_pool=pool,
        box_head=head,
        box_predictor=predictor,
        box_batch_size_per_image=rois_per_image or (64 if preset == "small" else 512),
    )
    model.transform = _Normalise(architecture.size_divisible)
    model.to(memory_format=torch.channels_last)
    return model


def _parts(preset: str, classes: int) -> tuple[nn.Module, nn.Module, nn.Module, nn.Module]:
    if preset == "small":
        return (
            _SmallBackbone(),
            MultiScaleRoIAlign(["0", "1", "2"], 7, 2),
            TwoMLPHead(64 * 7 * 7, 256),
            FastRCNNPredictor(256, classes),
        )
    if preset == "fpn":
        return (
            _FpnBackbone(),
            MultiScaleRoIAlign(["0", "1", "2", "3"], 7, 2),
            TwoMLPHead(256 * 7 * 7, 1024),
            FastRCNNPredictor(1024, classes),
        )
    return (
        _C4Backbone(),
        MultiScaleRoIAlign(["0"], 14, 0),
        _C4Head(),
        FastRCNNPredictor(2048, classes),
    )


def load_imagenet_backbone(model: FasterRCNN, preset: str) -> None:
    """Put torchvision's ImageNet weights (downloaded once) into the backbone and, for C4, the head."""
    from torchvision.models import ResNet18_Weights, ResNet50_Weights

    source = ResNet18_Weights.IMAGENET1K_V1 if preset == "small" else ResNet50_Weights.IMAGENET1K_V2
    state: OrderedDict[str, Tensor] = source.get_state_dict(progress=False, check_hash=True)
    own = model.state_dict()
    taken = {}
    for name, value in state.items():
        for target in (f"backbone.body.{name}", f"roi_heads.box_head.{name}"):
            if target in own and own[target].shape == value.shape:
                taken[target] = value
    model.load_state_dict(taken, strict=False)
