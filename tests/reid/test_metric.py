import pytest
import torch

from reid.checkpoint import save_checkpoint
from reid.config import NetworkConfig, TrainConfig
from reid.embedder import Embedder
from reid.errors import ReidError
from reid.metric import metric_of, metric_of_checkpoint
from reid.network import Network
from tests.reid.test_input_convention import summing

SMALL = {"backbone": "squeezenet1_1", "height": 48, "width": 24, "global_branch": None}


@pytest.mark.parametrize(
    ("changes", "metric"),
    [({}, "euclidean"), ({"normalised": True}, "euclidean"), ({"neck": "batch_norm"}, "cosine")],
)
def test_the_metric_of_a_checkpoint_is_that_of_its_loss(changes, metric, tmp_path):
    torch.manual_seed(0)
    config, path = NetworkConfig(**SMALL, **changes), tmp_path / "a.safetensors"
    save_checkpoint(path, Network(config).state_dict(), network=config, training={})
    assert metric_of(config).name == metric
    assert metric_of_checkpoint(path) == Embedder.load(path, "cpu").metric == metric_of(config)


def test_without_the_triplet_loss_it_is_cosine(tmp_path):
    config, path = NetworkConfig(**SMALL), tmp_path / "a.safetensors"
    recipe = TrainConfig(network=config, loss={"triplet": None, "cross_entropy": {}})
    training = {"config": recipe.model_dump(mode="json")}
    save_checkpoint(path, Network(config).state_dict(), network=config, training=training)
    assert metric_of_checkpoint(path) == Embedder.load(path, "cpu").metric
    assert metric_of_checkpoint(path).name == "cosine"


def test_a_file_that_is_no_checkpoint_has_no_metric(tmp_path):
    (tmp_path / "a.safetensors").write_text("text")
    with pytest.raises(ReidError, match=r"a\.safetensors: not a safetensors file, or a damaged one"):
        metric_of_checkpoint(tmp_path / "a.safetensors")


def test_a_foreign_model_is_compared_by_cosine_unless_something_says_else(tmp_path):
    model = summing(tmp_path / "a.onnx", ("n", 3, 8, 4), ("n", 3))
    metric = Embedder.load(model, "cpu").metric
    assert (metric.name, metric.reason) == (
        "cosine",
        "a foreign model, where nothing names another; change it by --metric",
    )
    (tmp_path / "a.input.yaml").write_text("metric: euclidean")
    metric = Embedder.load(model, "cpu", {"range": "0-255"}).metric
    assert (metric.name, metric.reason) == ("euclidean", "as a.input.yaml says")
    metric = Embedder.load(model, "cpu", {"metric": "cosine"}).metric
    assert (metric.name, metric.reason) == ("cosine", "as --input says")
