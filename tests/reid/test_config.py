from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from reid.checkpoint import load_checkpoint
from reid.config import Augmentation, LossConfig, TrainConfig, TripletConfig
from reid.errors import ReidError
from reid.network import Network
from reid.training.init_weights import initialise
from reid.training.recipes import read_recipe, recipe_file, recipe_names
from reid.weights import EMBEDDED


def test_the_defaults_are_the_papers_first_stage():
    config = TrainConfig()
    assert (config.sampler.identities, config.sampler.images) == (32, 4)
    assert (config.network.backbone, config.network.last_stride) == ("resnet50", 1)
    assert (config.network.height, config.network.width) == (256, 128)
    assert (config.iterations, config.decay_from, config.learning_rate) == (25_000, 15_000, 1e-4)
    assert config.loss.triplet.margin == 0.2
    assert config.loss.lgm is None


def recipe(name):
    return TrainConfig.model_validate(yaml.safe_load(recipe_file(Path(name)).read_text()))


def test_the_recipes_are_the_papers():
    assert recipe("source") == TrainConfig()
    drone = recipe("drone")
    assert (drone.iterations, drone.decay_from) == (16_000, 8_000)
    assert (drone.loss.lgm.weight, drone.loss.lgm.margin, drone.loss.lgm.likelihood) == (0.25, 0.1, 0.01)
    assert drone.loss.lgm.covariance == "identity"
    assert recipe("strong").network.neck == "batch_norm"


def test_the_recipe_that_goes_on_from_what_comes_with_uavpipe_has_its_network():
    ours = read_recipe("finetune")
    assert recipe("finetune") == ours
    assert (ours.init, ours.init_heads) == ("embedded", False)
    assert ours.network == load_checkpoint(EMBEDDED).network
    line = initialise(Network(ours.network), "embedded", heads=False)
    assert line.startswith("mobilenet_v2 from embedded, sha256 ")


def test_a_packaged_recipe_is_changed_by_section():
    changed = read_recipe(
        "finetune",
        iterations=400,
        sampler={"identities": 8},
        loss={"cross_entropy": None},
        network={"neck": "none"},
    )
    assert (changed.iterations, changed.sampler.identities, changed.sampler.images) == (400, 8, 4)
    assert (changed.loss.cross_entropy, changed.loss.triplet.margin) == (None, "soft")
    assert changed.network.projection == 256
    with pytest.raises(ValidationError, match="rounds"):
        read_recipe("finetune", rounds=3)


def test_a_recipe_is_named_or_given_as_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    packaged = recipe_file(Path("finetune"))
    assert packaged.name == "finetune.yaml"
    assert packaged.is_file()
    assert recipe_file(Path("other.yaml")) == Path("other.yaml")
    (tmp_path / "finetune").touch()
    assert recipe_file(Path("finetune")) == Path("finetune")
    with pytest.raises(
        ReidError, match="drome: no such recipe; expected a YAML file, or one of distil, drone, finetune"
    ):
        recipe_file(Path("drome"))


def test_the_former_folder_of_the_recipes_is_still_found():
    assert recipe_file(Path("/project/configs/reid/drone.yaml")) == recipe_file(Path("drone"))
    assert recipe_file(Path("configs/reid/mine.yaml")) == Path("configs/reid/mine.yaml")


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: TrainConfig.model_validate({"loss": {"lgm": {}}}), "need each other"),
        (lambda: TrainConfig.model_validate({"network": {"group_branch": {}}}), "need each other"),
        (lambda: TrainConfig.model_validate({"network": {"neck": "batch_norm"}}), "needs loss.cross_entropy"),
        (
            lambda: TrainConfig(iterations=10),
            r"decay_from \(15000\) must not exceed iterations \(10\); set both, as decay_from=5",
        ),
        (lambda: TripletConfig(margin=0.0), "expected a number above 0, or 'soft'"),
        (lambda: TripletConfig(margin="hard"), "soft"),
        (lambda: Augmentation(erase_area=(0.4, 0.2)), "two rising shares"),
        (lambda: TrainConfig.model_validate({"margin": 0.3}), "margin"),
        (lambda: LossConfig(triplet=None), "all are null; expected one of triplet, lgm"),
    ],
)
def test_contradictions_are_errors(make, complaint):
    with pytest.raises(ValidationError, match=complaint):
        make()


def test_the_documented_losses_are_the_recipes():
    page = Path(__file__).parents[2] / "docs" / "reid.md"
    rows = [row.split(" | ") for row in page.read_text("utf-8").splitlines() if row.startswith("| `")]
    documented = {row[0].strip("|` "): row[2] for row in rows if row[0].strip("|` ") in recipe_names()}
    assert documented.keys() == {*recipe_names()} - {"table1"}
    for name, losses in documented.items():
        loss = recipe(name).loss
        assert ("cross-entropy" in losses) == (loss.cross_entropy is not None), name
        assert ("L-GM" in losses) == (loss.lgm is not None), name
        assert ("triplet" in losses) == (loss.triplet is not None), name
        assert ("soft margin" in losses) == (loss.triplet is not None and loss.triplet.margin == "soft"), name
