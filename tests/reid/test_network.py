import sys

import pytest
import torch
from torch import nn
from torchvision import models

from reid.config import GlobalBranch, GroupBranch, NetworkConfig
from reid.errors import ReidError
from reid.network import Network

SMALL = {"backbone": "resnet18", "global_branch": GlobalBranch(width=16, dimension=8)}


def images(n=3, height=64, width=32):
    return torch.randint(0, 256, (n, 3, height, width), generator=torch.manual_seed(0)).to(torch.uint8)


def test_the_papers_network():
    network = Network(NetworkConfig(group_branch=GroupBranch()))
    assert network.backbone.dimension == 2048
    branch = [type(layer) for layer in network.heads.global_branch]
    assert branch == [nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Dropout, nn.Linear]
    weights = {name: tuple(value.shape) for name, value in network.heads.named_parameters() if value.ndim == 2}
    assert weights == {
        "global_branch.0.weight": (2048, 2048),
        "global_branch.4.weight": (128, 2048),
        "group_branch.shared.0.weight": (256, 512),
        **{f"group_branch.own.{group}.weight": (128, 256) for group in range(4)},
    }


@pytest.mark.parametrize(("stride", "cells"), [(1, (16, 8)), (2, (8, 4))])
def test_the_last_stride_decides_the_size_of_the_maps(stride, cells):
    network = Network(NetworkConfig(**SMALL, last_stride=stride)).eval()
    with torch.inference_mode():
        assert network.backbone.trunk(torch.zeros(1, 3, 256, 128)).shape == (1, 512, *cells)


def test_a_resnet_of_stride_2_is_torchvisions():
    network = Network(NetworkConfig(**SMALL, last_stride=2)).eval()
    whole = models.resnet18()
    whole.fc = nn.Identity()
    whole.load_state_dict(network.backbone.trunk.state_dict())
    pixels = models.ResNet18_Weights.IMAGENET1K_V1.transforms(crop_size=64, resize_size=64)(
        images(height=64, width=64)
    )
    with torch.inference_mode():
        torch.testing.assert_close(network(images(height=64, width=64)), whole.eval()(pixels), rtol=1e-4, atol=1e-4)


def test_inference_is_the_pooled_feature_not_a_branch():
    network = Network(NetworkConfig(**SMALL)).eval()
    with torch.inference_mode():
        assert torch.equal(network(images()), network.backbone(images()))
        assert network.heads(network.backbone(images())).triplet.shape == (3, 8)


def test_a_group_sees_its_own_channels_alone():
    network = Network(NetworkConfig(backbone="resnet18", group_branch=GroupBranch(groups=2, width=6, dimension=5)))
    network.eval()
    features = torch.randn(3, 512)
    changed = features.clone()
    changed[:, 256:] += 1
    with torch.inference_mode():
        before, after = network.heads(features).groups, network.heads(changed).groups
    assert before.shape == (2, 3, 5)
    assert torch.equal(before[0], after[0])
    assert not torch.equal(before[1], after[1])


def test_gem_by_hand():
    network = Network(NetworkConfig(**SMALL, pooling="gem"))
    network.backbone.trunk = nn.Identity()
    network.backbone.mean.zero_()
    network.backbone.std.fill_(1)
    maps = torch.tensor([[1.0, 2.0], [3.0, 4.0]]).expand(1, 3, 2, 2)
    assert network.backbone(maps).tolist()[0] == pytest.approx([((1 + 8 + 27 + 64) / 4) ** (1 / 3)] * 3)
    network.backbone.exponent.data.fill_(1)
    assert network.backbone(maps).tolist()[0] == pytest.approx([2.5] * 3)


def test_the_neck_stands_between_triplet_and_search():
    network = Network(NetworkConfig(backbone="resnet18", neck="batch_norm", global_branch=None)).eval()
    network.heads.neck.running_mean.fill_(1.0)
    with torch.inference_mode():
        features = network.backbone(images())
        embedded = network.heads(features)
        assert torch.equal(embedded.triplet, features)
        torch.testing.assert_close(embedded.neck, (features - 1) / (1 + 1e-5) ** 0.5)
        assert torch.equal(network(images()), embedded.neck)
    assert not network.heads.neck.bias.requires_grad


@pytest.mark.parametrize("backbone", ["mobilenet_v3_small", "regnet_y_400mf", "shufflenet_v2_x0_5"])
def test_other_backbones_by_name(backbone):
    network = Network(NetworkConfig(backbone=backbone, global_branch=None)).eval()
    with torch.inference_mode():
        assert network(images()).shape == (3, network.backbone.dimension)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"backbone": "resnet5"}, "torchvision has no 'resnet5'; expected a name such as resnet50"),
        ({"backbone": "fcn_resnet50"}, "torchvision has no 'fcn_resnet50'"),
        ({"backbone": "resnet18", "group_branch": {"groups": 3}}, "3 does not divide the feature's 512 channels"),
    ],
)
def test_what_cannot_be_built_is_one_line(settings, complaint):
    with pytest.raises(ReidError, match=complaint):
        Network(NetworkConfig.model_validate(settings))


def test_timm_is_asked_for_only_where_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ReidError, match=r"'timm:resnet18' needs timm; pip install timm"):
        Network(NetworkConfig(backbone="timm:resnet18"))


def test_a_linear_layer_and_features_of_length_one():
    config = NetworkConfig(backbone="mobilenet_v2", projection=24, normalised=True, global_branch=None)
    network = Network(config).eval()
    pictures = images()
    with torch.inference_mode():
        features, raw = network(pictures), network.backbone(pictures)
        pixels = (pictures - network.backbone.mean) / network.backbone.std
        maps = network.backbone.trunk(pixels)
    assert maps.shape == (3, 1280, 4, 2)  # a sixteenth: the last stride is 1
    by_hand = maps.mean((2, 3)) @ network.backbone.projection.weight.T
    torch.testing.assert_close(raw, by_hand, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(features, by_hand / by_hand.norm(dim=1, keepdim=True), rtol=1e-4, atol=1e-5)
