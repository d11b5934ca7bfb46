"""`uavpipe.train` and `uavpipe.evaluate` against the commands with the same options."""

import json

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner

import uavpipe
from pipeline.cli import main
from reid.checkpoint import save_checkpoint
from reid.config import NetworkConfig, TrainConfig
from reid.network import Network
from reid.training.on_dataset import Trained
from reid.training.recipes import read_recipe
from uavpipe import UavpipeError

NAMES = {
    "query": ["0001_c1s1_000001_00.png", "0002_c1s1_000002_00.png"],
    "bounding_box_test": ["0001_c2s1_000004_00.png", "0002_c2s1_000005_00.png", "-1_c2s1_000006_00.png"],
    "bounding_box_train": ["0004_c1s1_000007_00.png"],
}


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """A small data set in Market-1501's folders, and an untrained network."""
    folder = tmp_path_factory.mktemp("people")
    for part, names in NAMES.items():
        (folder / part).mkdir()
        for number, name in enumerate(names):
            picture = np.random.default_rng((len(part), number)).integers(0, 256, (50, 20, 3), np.uint8)
            cv2.imwrite(str(folder / part / name), picture)
    torch.manual_seed(0)
    config = NetworkConfig(backbone="squeezenet1_1", height=48, width=24, global_branch=None)
    save_checkpoint(folder / "a.safetensors", Network(config).state_dict(), network=config, training={})
    return folder


def test_evaluate_gives_the_figures_of_the_command(people, tmp_path):
    given = ["--weights", people / "a.safetensors", "--data", people, "--metric", "cosine", "--flip"]
    result = CliRunner().invoke(main, ["reid", "evaluate", *map(str, given), "--out", str(tmp_path / "command")])
    assert result.exit_code == 0, result.output
    ours = uavpipe.evaluate(people / "a.safetensors", people, metric="cosine", flip=True, out=tmp_path / "python")
    command, python = (
        json.loads((tmp_path / name / "metrics.json").read_text("utf-8")) for name in ("command", "python")
    )
    assert python == command
    assert {name: command[name] for name in ours.figures} == dict(ours.figures)
    assert ours.counts["queries"] == 2
    assert len(list((tmp_path / "python" / "ranked").iterdir())) > 0


def test_the_embedded_network_has_a_name(people):
    assert 0 < uavpipe.evaluate("embedded", people, device="cpu").figures["mAP"] <= 1


def test_without_a_folder_nothing_is_written(people, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert 0 < uavpipe.evaluate(people / "a.safetensors", people).figures["mAP"] <= 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", ["name", "dict", "model"])
def test_train_is_given_what_the_command_gives(people, tmp_path, monkeypatch, form):
    calls = []

    def train(config, data, output, *, protocol, bar):
        calls.append((config, data, output, protocol))
        return Trained(output / "last.safetensors", {})

    monkeypatch.setattr("reid.training.on_dataset.train_on_dataset", train)
    changed = ["--set", "iterations=700", "--set", "sampler.identities=2", "--protocol", "flight"]
    output = tmp_path / "run"
    given = ["--config", "finetune", "--data", people, "--output", output, *changed]
    result = CliRunner().invoke(main, ["reid", "train", *map(str, given)])
    assert result.exit_code == 0, result.output
    plain = calls[0][0].model_copy(update={"iterations": 500})
    recipe = {"name": "finetune", "dict": plain.model_dump(), "model": plain}[form]
    trained = uavpipe.train(recipe, people, output, protocol="flight", iterations=700, sampler={"identities": 2})
    assert trained.weights == output / "last.safetensors"
    assert calls[1] == calls[0]
    assert isinstance(calls[1][0], TrainConfig)
    assert calls[1][0].iterations == 700


def test_without_a_recipe_of_its_own_train_takes_the_commands(people, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(
        "reid.training.on_dataset.train_on_dataset",
        lambda config, data, output, **given: calls.append((config, given["protocol"])) or Trained(output, {}),
    )
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["reid", "train", "--data", str(people), "--out", str(tmp_path / "run")])
    assert result.exit_code == 0, result.output
    uavpipe.train("auto", people, tmp_path / "run")
    assert calls == [(read_recipe("finetune"), "market")] * 2


def test_a_users_mistakes_are_one_line(people, tmp_path):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "metrics.json").write_text("mine")
    (tmp_path / "taken" / "last.safetensors").write_text("mine")
    weights = people / "a.safetensors"
    mistakes = {
        "a.pt: ": lambda: uavpipe.evaluate(people / "a.pt", people),
        "protocol 'markt': expected market, single-shot": lambda: uavpipe.evaluate(
            weights, people, protocol="markt"
        ),
        "metrics.json: exists, and is no file that this": lambda: uavpipe.evaluate(
            weights, people, out=tmp_path / "taken"
        ),
        "iterationen: unknown key": lambda: uavpipe.train("finetune", people, tmp_path / "run", iterationen=3),
        "last.safetensors: exists, but no run.json": lambda: uavpipe.train("finetune", people, tmp_path / "taken"),
        "none.yaml: no such configuration file": lambda: uavpipe.train("none.yaml", people, tmp_path / "run"),
    }
    for words, make in mistakes.items():
        with pytest.raises(UavpipeError, match=words) as raised:
            make()
        assert "\n" not in str(raised.value)
