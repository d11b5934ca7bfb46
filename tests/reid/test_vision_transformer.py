import sys
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torchvision import models

from reid.checkpoint import load_network, save_checkpoint
from reid.config import NetworkConfig
from reid.errors import ReidError
from reid.network import Network
from reid.vision_transformer import TransformerTrunk


def tiny():
    return models.VisionTransformer(
        image_size=32, patch_size=8, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=32, num_classes=4
    )


@pytest.fixture
def small_vit(monkeypatch):
    """`vit_b_16` is a transformer of 16 channels, with random position embeddings."""
    torch.manual_seed(0)
    monkeypatch.setattr(models, "get_model", lambda name, weights=None: tiny())


def config(**changes):
    return NetworkConfig(backbone="vit_b_16", global_branch=None, **{"height": 64, "width": 32, **changes})


def images(height, width):
    return torch.randint(0, 256, (3, 3, height, width), generator=torch.manual_seed(0)).to(torch.uint8)


def test_a_square_of_the_learned_size_gives_torchvisions_class_token():
    torch.manual_seed(1)
    whole = tiny().eval()
    nn.init.normal_(whole.heads.head.weight)
    pixels = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        token = TransformerTrunk(whole)(pixels)
        assert token.shape == (2, 16, 1, 1)
        torch.testing.assert_close(whole.heads(token.flatten(1)), whole(pixels))


def test_positions_keep_their_place_in_another_grid():
    trunk = TransformerTrunk(tiny())
    height = torch.linspace(0, 3, 4)[:, None, None].expand(4, 4, 16)
    trunk.encoder.pos_embedding.data[:, 1:] = height.reshape(1, 16, 16)
    grid = trunk._positions(8, 4)[:, 1:].reshape(8, 4, 16)
    assert trunk._positions(8, 4).shape == (1, 33, 16)
    torch.testing.assert_close(trunk._positions(8, 4)[:, 0], trunk.encoder.pos_embedding[:, 0])
    torch.testing.assert_close(grid[:, 0], grid[:, 3])  # the same in each column
    assert (grid[1:, 0, 0] > grid[:-1, 0, 0]).all()  # and rising with the row
    torch.testing.assert_close(grid[3:5, 0, 0].mean(), torch.tensor(1.5))


def test_a_network_with_a_transformer_learns_and_is_stored(small_vit, tmp_path):
    network = Network(config(projection=8)).train()
    loss = network(images(64, 32)).pow(2).mean()
    loss.backward()
    for name in ("class_token", "conv_proj.weight", "encoder.pos_embedding"):
        assert network.backbone.trunk.get_parameter(name).grad.abs().sum() > 0
    network.eval()
    save_checkpoint(tmp_path / "a.safetensors", network.state_dict(), network=network.config, training={})
    with torch.inference_mode():
        expected, found = network(images(64, 32)), load_network(tmp_path / "a.safetensors")(images(64, 32))
    assert expected.shape == (3, 8)
    torch.testing.assert_close(found, expected, rtol=1e-2, atol=1e-2)


def test_sizes_and_pooling_that_do_not_fit_are_named(small_vit):
    with pytest.raises(ReidError, match=r"height 60, network\.width 32: the backbone's patches are 8 .*64 and 32"):
        Network(config(height=60))
    with pytest.raises(ReidError, match=r"network\.pooling: 'gem' is for feature maps"):
        Network(config(pooling="gem"))


class Tokens(nn.Module):
    """What timm's transformers give: tokens, the class token first where there is one."""

    def __init__(self, prefix):
        super().__init__()
        self.num_prefix_tokens = prefix
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, pixels):
        tokens = pixels.flatten(2).transpose(1, 2)[:, :6]
        return self.scale * torch.cat([10 + tokens[:, :1], tokens], dim=1) if self.num_prefix_tokens else tokens


@pytest.mark.parametrize("prefix", [0, 1])
def test_timms_transformers_give_their_class_token_or_the_mean(monkeypatch, prefix):
    asked = []

    def create_model(name, **settings):
        asked.append(settings)
        return Tokens(prefix)

    monkeypatch.setitem(sys.modules, "timm", SimpleNamespace(create_model=create_model))
    network = Network(NetworkConfig(backbone="timm:vit_tiny", global_branch=None)).eval()
    assert asked[0]["dynamic_img_size"]
    assert network.backbone.dimension == 3
    with torch.inference_mode():
        pixels = (images(64, 32) - network.backbone.mean) / network.backbone.std
        first = pixels.flatten(2).transpose(1, 2)[:, :6]
        torch.testing.assert_close(network(images(64, 32)), 10 + first[:, 0] if prefix else first.mean(dim=1))


def test_timms_convolutions_take_no_settings_of_transformers(monkeypatch):
    def create_model(name, pretrained, num_classes, global_pool):
        return nn.Conv2d(3, 5, 4, 4)

    monkeypatch.setitem(sys.modules, "timm", SimpleNamespace(create_model=create_model))
    assert Network(NetworkConfig(backbone="timm:conv", global_branch=None)).backbone.dimension == 5


def test_a_backbone_that_gives_neither_maps_nor_tokens_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", SimpleNamespace(create_model=lambda name, **settings: nn.Flatten()))
    with pytest.raises(ReidError, match="has no feature maps to pool; expected convolutions or a vision"):
        Network(NetworkConfig(backbone="timm:flat", global_branch=None))
