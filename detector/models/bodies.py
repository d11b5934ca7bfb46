"""The bodies of preset `small`: convolutions that give maps at strides 4, 8 and 16."""

from collections.abc import Callable
from functools import partial

from torch import nn
from torchvision.models import resnet18
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.efficientnet import EfficientNet, MBConv, MBConvConfig

from detector.config import Body

Norm = Callable[[int], nn.Module]
# Expansion, kernel, stride, channels in and out, and blocks of each stage of EfficientNet-B0 up to stride 16.
_STAGES = (
    (1, 3, 1, 32, 16, 1),
    (6, 3, 2, 16, 24, 2),
    (6, 5, 2, 24, 40, 2),
    (6, 3, 2, 40, 80, 3),
    (6, 5, 1, 80, 112, 3),
)


def body_of(name: Body, norm: Norm) -> tuple[nn.Module, list[int]]:
    """The body, which gives maps "0", "1" and "2" of images (n, 3, H, W), and their channels."""
    if name == "resnet18":
        layers = {"layer1": "0", "layer2": "1", "layer3": "2"}
        return IntermediateLayerGetter(resnet18(norm_layer=norm), layers), [64, 128, 256]
    return IntermediateLayerGetter(_efficientnet_lite0(norm), {"2": "0", "3": "1", "5": "2"}), [24, 40, 112]


def _efficientnet_lite0(norm: Norm) -> nn.Sequential:
    """EfficientNet-B0 without squeeze and excitation, and with ReLU6, as its authors made it for small devices.

    https://github.com/tensorflow/tpu/blob/master/models/official/efficientnet/lite
    """
    block = partial(MBConv, se_layer=lambda *_, **__: nn.Identity())
    stages = [MBConvConfig(*stage, block=block) for stage in _STAGES]
    features = EfficientNet(stages, dropout=0, stochastic_depth_prob=0, norm_layer=norm).features
    for module in list(features.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.SiLU):
                setattr(module, name, nn.ReLU6(inplace=True))
    return features
