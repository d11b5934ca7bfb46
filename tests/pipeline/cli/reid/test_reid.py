import csv
import json
import shutil

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from pipeline.cli import main
from reid.checkpoint import save_checkpoint
from reid.config import NetworkConfig
from reid.network import Network


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    torch.manual_seed(0)
    config = NetworkConfig(backbone="squeezenet1_1", height=48, width=24, global_branch=None)
    save_checkpoint(folder / "a.safetensors", Network(config).state_dict(), network=config, training={})
    (folder / "crops").mkdir()
    for name in ("b", "a", "c"):
        picture = np.random.default_rng(ord(name)).integers(0, 256, (50, 20, 3), np.uint8)
        cv2.imwrite(str(folder / "crops" / f"{name}.png"), picture)
    return folder


RECIPE = """
network: {backbone: squeezenet1_1, height: 48, width: 24, global_branch: null}
init: random
sampler: {identities: 2, images: 2}
"""


def test_train_learns_from_a_market_tree_and_embed_uses_it(trained, tmp_path):
    people = tmp_path / "people" / "bounding_box_train"
    people.mkdir(parents=True)
    for number in range(6):
        crop = (trained / "crops" / "a.png").read_bytes()
        (people / f"000{number // 2 + 1}_c1s1_00000{number}_00.png").write_bytes(crop)
    (people / "-1_c1s1_000009_00.png").write_bytes(crop)
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    arguments = ["--config", tmp_path / "recipe.yaml", "--data", tmp_path / "people", "--output", tmp_path / "run"]
    short = ["--set", "iterations=2", "--set", "decay_from=1"]
    result = CliRunner().invoke(main, ["reid", "train", *map(str, arguments), *short])
    assert result.exit_code == 0, result.output
    weights = tmp_path / "run" / "last.safetensors"
    assert str(weights) in result.output
    result = embed(people, "--weights", weights, "--out", tmp_path / "f.npy", "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert np.load(tmp_path / "f.npy").shape == (7, 512)
    result = CliRunner().invoke(main, ["reid", "train", *map(str, arguments), "--set", "loss.margin=3"])
    assert result.exit_code == 1
    assert "loss.margin: unknown key; known keys: triplet, lgm, cross_entropy" in result.output


def test_training_is_measured_where_there_is_a_test_set(trained, tmp_path):
    crop = (trained / "crops" / "a.png").read_bytes()
    for folder, persons in (("bounding_box_train", (1, 2)), ("query", (3, 4)), ("bounding_box_test", (3, 4))):
        (tmp_path / "people" / folder).mkdir(parents=True)
        for person in persons:
            name = f"000{person}_c1s1_{len(folder):06}_00.png"
            picture = np.random.default_rng((person, len(folder))).integers(0, 256, (50, 20, 3), np.uint8)
            cv2.imwrite(str(tmp_path / "people" / folder / name), picture)
    (tmp_path / "recipe.yaml").write_text(RECIPE + "iterations: 2\ndecay_from: 1\nevaluate_every: 1\n")
    arguments = ["--config", tmp_path / "recipe.yaml", "--data", tmp_path / "people", "--output", tmp_path / "run"]
    result = CliRunner().invoke(main, ["reid", "train", *map(str, arguments)])
    assert result.exit_code == 1
    assert "protocol 'market' leaves no query a right answer" in result.output
    for folder in ("query", "bounding_box_test"):
        for path in (tmp_path / "people" / folder).iterdir():
            path.rename(path.with_name(path.name.replace("c1", f"c{len(folder)}")))
    result = CliRunner().invoke(main, ["reid", "train", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    assert "best.safetensors (mAP " in result.output
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [row["iteration"] for row in log if "evaluation/rank-1" in row] == [1, 2]
    (tmp_path / "people" / "query" / "0001_c9s1_000001_00.png").write_bytes(crop)
    result = CliRunner().invoke(main, ["reid", "train", *map(str, arguments)])
    assert "leak: 1 identities are both in the training and in the test set (1)" in result.output


def test_without_a_recipe_the_second_stage_starts_from_the_first(trained, tmp_path):
    for folder, persons in (("bounding_box_train", (1, 2)), ("query", (3, 4)), ("bounding_box_test", (3, 4))):
        (tmp_path / "people" / folder).mkdir(parents=True)
        for person in persons:
            name = f"000{person}_c1s{len(folder)}_000001_00.png"
            picture = np.random.default_rng((person, len(folder))).integers(0, 256, (50, 20, 3), np.uint8)
            cv2.imwrite(str(tmp_path / "people" / folder / name), picture)
    (tmp_path / "people" / "statistics.json").write_text('{"protocol": "tracklet"}')
    (tmp_path / "source").mkdir()
    source = shutil.copy(trained / "a.safetensors", tmp_path / "source" / "last.safetensors")
    given = ["--data", tmp_path / "people", "--out", tmp_path / "drone", "--set", "iterations=1"]
    settings = ["decay_from=1", "device=cpu", "network.global_branch={width: 16, dimension: 8}"]
    given += [word for setting in settings for word in ("--set", setting)]
    result = CliRunner().invoke(main, ["reid", "train", *map(str, given)])
    assert result.exit_code == 0, result.output
    assert f"recipe drone, the paper's second stage: {source} is there" in result.output
    assert "best.safetensors (mAP " in result.output  # by `market`, no query would have a right answer
    run = json.loads((tmp_path / "drone" / "run.json").read_text())
    assert run["initial"].startswith(f"squeezenet1_1 from {source}")
    measured = ["--weights", tmp_path / "drone" / "last.safetensors", "--data", tmp_path / "people"]
    result = CliRunner().invoke(main, ["reid", "evaluate", *map(str, measured), "--out", str(tmp_path / "test")])
    assert "protocol tracklet, metric euclidean: 2 queries" in result.output
    assert json.loads((tmp_path / "test" / "metrics.json").read_text())["settings"]["protocol"] == "tracklet"


def embed(*arguments):
    return CliRunner().invoke(main, ["reid", "embed", *map(str, arguments)])


def test_embed_writes_a_row_for_each_path(trained, tmp_path):
    weights = trained / "a.safetensors"
    result = embed(trained / "crops", "--weights", weights, "--out", tmp_path / "f.npy", "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert "3 features of length 512" in result.output
    features = np.load(tmp_path / "f.npy")
    assert features.shape == (3, 512)
    assert features.dtype == np.float32
    with (tmp_path / "f.csv").open(newline="") as file:
        assert [row["path"] for row in csv.DictReader(file)] == ["a.png", "b.png", "c.png"]
    (trained / "list.txt").write_text("crops/c.png\n")
    result = embed(trained / "list.txt", "--weights", weights, "--out", tmp_path / "g.npy", "--device", "cpu")
    assert result.exit_code == 0, result.output
    np.testing.assert_allclose(np.load(tmp_path / "g.npy")[0], features[2], rtol=1e-3, atol=1e-5)


def test_search_finds_the_nearest_but_not_the_query(trained, tmp_path):
    crops, weights, sheet = trained / "crops", trained / "a.safetensors", tmp_path / "found.png"
    (tmp_path / "d.png").write_bytes((crops / "c.png").read_bytes())

    def found(query, *options):
        arguments = (query, "--data", crops, "--weights", weights, "--out", sheet, "--device", "cpu", *options)
        result = CliRunner().invoke(main, ["reid", "search", *map(str, arguments)])
        paths = [line.split()[1] for line in result.output.splitlines() if line.startswith("  ")]
        return result, [path.rsplit("/", 1)[1] for path in paths]

    result, names = found(tmp_path / "d.png", "--count", 2)
    assert result.exit_code == 0, result.output
    assert names[0] == "c.png"
    assert len(names) == 2
    assert cv2.imread(str(sheet)).shape[1] == 6 + 3 * 78
    assert embed(crops, "--weights", weights, "--out", tmp_path / "f.npy", "--device", "cpu").exit_code == 0
    result, names = found(crops / "a.png", "--features", tmp_path / "f.npy")
    assert sorted(names) == ["b.png", "c.png"]
    (tmp_path / "f.csv").write_text("path\nb.png\n")
    result, names = found(crops / "a.png", "--features", tmp_path / "f.npy")
    assert result.exit_code == 1
    assert "not the features of the images in" in result.output
    result, names = found(crops / "a.png", "--features", tmp_path / "nope.npy")
    assert result.exit_code == 1
    assert f"nope.npy: no such file; write it: uavpipe reid embed {crops} --weights … --out " in result.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("embed crops --out f.npy --device cpu --weights", "f.npy: 3 features of length 256"),
        ("search crops/a.png --data crops --out f.png --device cpu --weights", "the 2 nearest of 3 crops"),
        ("evaluate --data people --out test --pictures 0 --device cpu --weights", "test: metrics.json"),
        ("inspect --device cpu", "embedder.safetensors: a network of uavpipe"),
    ],
)
def test_every_command_knows_the_embedded_network_by_name(trained, words, said, monkeypatch):
    monkeypatch.chdir(trained)
    for folder, camera in (("query", 1), ("bounding_box_test", 2)):
        (trained / "people" / folder).mkdir(parents=True, exist_ok=True)
        for person, crop in enumerate("ab", 1):
            name = f"000{person}_c{camera}s1_000001_00.png"
            image = cv2.imread(f"crops/{crop}.png") // camera
            cv2.imwrite(str(trained / "people" / folder / name), image)
    result = CliRunner().invoke(main, ["reid", *words.split(), "embedded"])
    assert result.exit_code == 0, result.output
    assert said in result.output


def test_a_network_is_exported_to_openvino_and_used(trained, tmp_path):
    config = NetworkConfig(backbone="squeezenet1_1", height=96, width=48, global_branch=None)
    weights, model = tmp_path / "a.safetensors", tmp_path / "a.xml"
    save_checkpoint(weights, Network(config).state_dict(), network=config, training={})
    for _ in range(2):  # the second one is written over the first
        result = CliRunner().invoke(
            main, ["reid", "export", str(weights), "--out", str(model), "--precision", "fp16"]
        )
        assert result.exit_code == 0, result.output
        assert f"{model}: fp16; features differ from the checkpoint's by " in result.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.bin", "a.safetensors", "a.xml"]
    result = embed(trained / "crops", "--weights", model, "--out", tmp_path / "f.npy", "--device", "cpu")
    assert result.exit_code == 0, result.output
    result = CliRunner().invoke(main, ["reid", "export", str(weights), "--out", str(tmp_path / "a.tflite")])
    assert result.exit_code == 2
    assert "expected a name that ends in .onnx or .xml" in result.output


def test_a_users_mistakes_are_one_line(trained, tmp_path):
    crops, out = trained / "crops", tmp_path / "f.npy"
    for arguments, complaint in (
        (
            (crops, "--weights", tmp_path / "none.safetensors", "--out", out),
            "no such checkpoint; expected a file, or 'embedded'",
        ),
        ((tmp_path, "--weights", trained / "a.safetensors", "--out", out), "no images"),
        ((crops, "--weights", trained / "a.safetensors", "--out", tmp_path / "f.csv"), "ends in .npy"),
    ):
        result = embed(*arguments)
        assert result.exit_code != 0
        assert complaint in result.output
        assert "Traceback" not in result.output
    assert not list(tmp_path.iterdir())
