import pytest
import torch

from reid.checkpoint import save_checkpoint
from reid.config import NetworkConfig, TrainConfig
from reid.errors import ReidError
from reid.network import Network
from reid.training.automatic import automatic_recipe
from reid.training.recipes import read_recipe

SMALL = NetworkConfig(backbone="squeezenet1_1", height=48, width=24)


@pytest.fixture
def gpu(monkeypatch):
    """Says whether there is a GPU."""
    return lambda there: monkeypatch.setattr(torch.cuda, "is_available", lambda: there)


def save_source(path):
    path.parent.mkdir(parents=True)
    save_checkpoint(path, Network(SMALL).state_dict(), network=SMALL, training={})
    return path


def test_without_a_source_network_the_bundled_one_is_fine_tuned(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content, line = automatic_recipe(tmp_path / "reid" / "finetune")
    assert TrainConfig.model_validate(content) == read_recipe("finetune")
    assert line == (
        "finetune, from the bundled network: no network of recipe source, as "
        f"{tmp_path}/reid/source/last.safetensors, is there"
    )


def test_a_source_network_gives_the_papers_second_stage(tmp_path, monkeypatch, gpu):
    monkeypatch.chdir(tmp_path)
    gpu(there=True)
    source = save_source(tmp_path / "reid" / "source" / "last.safetensors")
    content, line = automatic_recipe(tmp_path / "reid" / "drone")
    network = {"backbone": "squeezenet1_1", "height": 48, "width": 24}
    assert TrainConfig.model_validate(content) == read_recipe("drone", init=str(source), network=network)
    assert line == f"drone, the paper's second stage: {source} is there to start from"


def test_the_place_that_the_recipe_names_counts_too(tmp_path, monkeypatch, gpu):
    monkeypatch.chdir(tmp_path)
    gpu(there=True)
    save_source(tmp_path / "runs" / "reid" / "source" / "last.safetensors")
    content, _ = automatic_recipe(tmp_path / "elsewhere" / "mine")
    assert content["init"] == "runs/reid/source/last.safetensors"


def test_without_a_gpu_the_second_stage_is_short(tmp_path, gpu):
    gpu(there=False)
    save_source(tmp_path / "source" / "last.safetensors")
    content, line = automatic_recipe(tmp_path / "drone")
    config, short = TrainConfig.model_validate(content), read_recipe("finetune")
    assert (config.sampler, config.iterations, config.decay_from) == (
        (short.sampler, short.iterations, short.decay_from)
    )
    assert config.loss == read_recipe("drone").loss
    assert line.endswith("is there to start from; 200 iterations of 24 crops, as there is no GPU")


def test_a_damaged_source_network_is_one_line(tmp_path):
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "last.safetensors").write_bytes(b"torn")
    with pytest.raises(ReidError, match=r"last\.safetensors: not a safetensors file, or a damaged one"):
        automatic_recipe(tmp_path / "drone")
