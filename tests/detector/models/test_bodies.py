"""The bodies of the small detector against what their authors published."""

import pytest
import torch
from torch import nn

from detector.models.bodies import body_of


@pytest.mark.parametrize(
    ("name", "channels"), [("resnet18", [64, 128, 256]), ("efficientnet-lite0", [24, 40, 112])]
)
def test_maps_have_strides_4_8_and_16(name, channels):
    body, stated = body_of(name, nn.BatchNorm2d)
    maps = body(torch.zeros(2, 3, 96, 64))
    assert stated == channels
    assert {level: tuple(values.shape) for level, values in maps.items()} == {
        str(number): (2, width, 96 // stride, 64 // stride)
        for number, (width, stride) in enumerate(zip(channels, (4, 8, 16), strict=True))
    }


def test_efficientnet_lite0_has_the_layers_of_its_paper():
    """Table 1 of Tan and Le (2019), stages 1 to 6, without squeeze and excitation, and with ReLU6 for swish."""
    body, _ = body_of("efficientnet-lite0", nn.BatchNorm2d)
    expected = 3 * 32 * 3 * 3 + 2 * 32  # the stem: a kernel, then scale and offset of the norm
    width = 32
    for expansion, kernel, out, blocks in (
        (1, 3, 16, 1),
        (6, 3, 24, 2),
        (6, 5, 40, 2),
        (6, 3, 80, 3),
        (6, 5, 112, 3),
    ):
        for _ in range(blocks):
            wide = expansion * width
            if expansion > 1:
                expected += width * wide + 2 * wide
            expected += wide * kernel * kernel + 2 * wide + wide * out + 2 * out
            width = out
    assert sum(parameter.numel() for parameter in body.parameters()) == expected
    kinds = {type(module) for module in body.modules()}
    assert nn.ReLU6 in kinds
    assert nn.SiLU not in kinds
