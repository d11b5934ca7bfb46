import cv2
import numpy as np
import pytest
import torch

from reid.config import NetworkConfig
from reid.crops import read_crop
from reid.embedder import Embedder
from reid.errors import ReidError
from reid.network import Network

CONFIG = NetworkConfig(backbone="squeezenet1_1", height=48, width=24, global_branch=None)


@pytest.fixture(scope="module")
def embedder():
    torch.manual_seed(0)
    return Embedder(Network(CONFIG), "cpu")


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("crops")
    rng = np.random.default_rng(0)
    paths = [folder / f"{number}.png" for number in range(20)]  # more than a batch on a CPU
    for path in paths:
        cv2.imwrite(str(path), rng.integers(0, 256, (60, 30, 3), np.uint8))
    return paths


def test_features_come_in_the_order_of_the_files(embedder, paths):
    counts = []
    features = embedder.embed_files(paths, advance=counts.append)
    assert features.shape == (20, 512)
    assert features.dtype == np.float32
    assert sum(counts) == 20
    for number in (0, 15, 16, 19):
        alone = embedder.embed(read_crop(paths[number], 48, 24)[None])
        np.testing.assert_allclose(features[number], alone[0], rtol=1e-3, atol=1e-5)


def test_flipping_averages_image_and_mirror_image(embedder, paths):
    crop = read_crop(paths[0], 48, 24)[None]
    both = (embedder.embed(crop) + embedder.embed(crop[:, :, ::-1])) / 2
    np.testing.assert_allclose(embedder.embed(crop, flip=True), both, rtol=1e-4, atol=1e-6)


def test_no_files_give_no_features(embedder):
    assert embedder.embed_files([]).shape == (0, 512)


def test_what_cannot_be_embedded_is_named(embedder, tmp_path):
    (tmp_path / "a.jpg").write_text("no picture")
    with pytest.raises(ReidError, match=r"a\.jpg: not an image"):
        embedder.embed_files([tmp_path / "a.jpg"])
    if not torch.cuda.is_available():
        with pytest.raises(ReidError, match="device 'cuda': no usable NVIDIA GPU"):
            Embedder(Network(CONFIG), "cuda")
