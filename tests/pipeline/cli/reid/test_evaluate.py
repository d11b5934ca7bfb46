import json
import subprocess
import sys

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner

from pipeline.cli import main
from reid.checkpoint import save_checkpoint
from reid.config import NetworkConfig
from reid.evaluation.chance import KINDS
from reid.network import Network
from tests.reid.test_input_convention import summing

NAMES = {
    "query": ["0001_c1s1_000001_00.png", "0002_c1s1_000002_00.png", "0003_c1s1_000003_00.png"],
    "bounding_box_test": ["0001_c2s1_000004_00.png", "0002_c2s1_000005_00.png", "-1_c2s1_000006_00.png"],
    "bounding_box_train": ["0004_c1s1_000007_00.png"],
}


def evaluate(*arguments):
    return CliRunner().invoke(main, ["reid", "evaluate", *map(str, arguments)])


@pytest.fixture
def people(tmp_path):
    for folder, names in NAMES.items():
        (tmp_path / folder).mkdir()
        for number, name in enumerate(names):
            picture = np.random.default_rng((len(folder), number)).integers(0, 256, (50, 20, 3), np.uint8)
            cv2.imwrite(str(tmp_path / folder / name), picture)
    return tmp_path


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(0)
    config = NetworkConfig(backbone="squeezenet1_1", height=48, width=24, global_branch=None)
    save_checkpoint(tmp_path / "a.safetensors", Network(config).state_dict(), network=config, training={})
    return tmp_path / "a.safetensors"


@pytest.fixture
def features(tmp_path):
    """Person 1 is found at once, 2 behind 1, 3 is not there."""
    paths = tmp_path / "q.npy", tmp_path / "g.npy"
    for path, rows, folder in zip(paths, ([1, 0, 5], [1, 2, 0]), ("query", "bounding_box_test"), strict=True):
        np.save(path, np.array(rows, np.float32)[:, None])
        pd.DataFrame({"path": NAMES[folder]}).to_csv(path.with_suffix(".csv"), index=False)
    return paths


def test_features_from_elsewhere(people, features, tmp_path):
    images = people / "query", people / "bounding_box_test"
    result = evaluate("--features", *features, "--images", *images, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "3 queries, 1 of them without a right answer; 3 gallery crops (1 junk)" in result.output
    content = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert (content["mAP"], content["mINP"], content["rank-1"], content["rank-5"]) == (0.75, 0.75, 0.5, 1)
    assert content["counts"]["queries_skipped"] == content["counts"]["gallery_junk"] == 1
    assert content["chance"]["highest_mAP"] == 1.0
    lines = result.output.splitlines()
    figures = next(line for line in lines if line.startswith("   0.7500"))
    assert figures.endswith("no better than chance: random features or shuffled identities get an mAP of 1.000 too")
    assert [line.split("  ")[-1] for line in lines[lines.index(figures) + 3 :][:2]] == list(KINDS.values())
    assert lines[lines.index(figures) + 1].split() == [
        "0.5000",
        "0.5000",
        *["0.0000"],
        *["1.0000"] * 3,
        "from",
        "(95",
        "%)",
    ]
    assert content["intervals"]["mAP"] == [0.5, 1]
    assert content["by_height"][0]["height_px"] == [32, 64]
    assert content["by_height"][0]["queries"] == 2
    queries = pd.read_parquet(tmp_path / "out" / "queries.parquet")
    assert queries["first_hit"].tolist() == [1, 2, 0]
    assert queries["positives"].tolist() == [1, 1, 0]
    assert queries["average_precision"].tolist()[:2] == [1, 0.5]
    assert (tmp_path / "out" / "ranked" / "000.jpg").exists()


def test_queries_of_known_altitude_are_grouped(features, tmp_path):
    query = features[0].with_suffix(".csv")
    pd.read_csv(query).assign(altitude_m=[15, 95, None]).to_csv(query, index=False)
    result = evaluate("--features", *features, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    groups = json.loads((tmp_path / "out" / "metrics.json").read_text())["by_altitude"]
    assert [(group["altitude_m"], group["queries"], group["mAP"]) for group in groups] == [
        ([10, 20], 1, 1.0),
        ([80, 120], 1, 0.5),
    ]
    assert [line.split("  ")[-1] for line in result.output.splitlines()[-4:-1]] == [
        "by altitude",
        "10 to 20 m",
        "80 to 120 m",
    ]


def test_features_are_measured_without_torch(features, tmp_path):
    arguments = ["reid", "evaluate", "--features", *map(str, features), "--out", str(tmp_path / "out")]
    code = f"import sys; sys.argv[1:] = {arguments}\nfrom pipeline.cli import main\n"
    code += "try: main()\nexcept SystemExit as end: print(end.code, 'torch' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.splitlines()[-1] == "0 False"


def test_a_network_on_a_market_tree(people, weights, tmp_path):
    found = {}
    for how in ("--flip", "--rerank"):
        result = evaluate("--weights", weights, "--data", people, how, "--out", tmp_path / "out")
        assert result.exit_code == 0, result.output
        found[how] = json.loads((tmp_path / "out" / "metrics.json").read_text())
        assert found[how]["settings"][how.removeprefix("--")]
        assert len(found[how]["inputs"]["weights"]["sha256"]) == 64
    folders = [people / folder for folder in ("query", "bounding_box_test", "bounding_box_train")]
    tables = [folder.with_suffix(".csv") for folder in folders]
    for folder, table in zip(folders, tables, strict=True):
        pd.DataFrame({"path": NAMES[folder.name]}).to_csv(table, index=False)
    listed = ("--labels", *tables[:2], "--images", *folders[:2], "--train-labels", tables[2])
    result = evaluate("--weights", weights, *listed, "--rerank", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["mAP"] == found["--rerank"]["mAP"]
    seen = people / "bounding_box_train" / "0002_c1s1_000009_00.png"
    seen.write_bytes((people / "query" / NAMES["query"][1]).read_bytes())
    result = evaluate("--weights", weights, "--data", people, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "leak: 1 identities are both in the training and in the test set (2)" in result.output


def test_networks_by_data_sets(people, weights, tmp_path):
    def transfer(*arguments):
        return CliRunner().invoke(
            main, ["reid", "transfer", *map(str, arguments), "--out", str(tmp_path / "t.json")]
        )

    assert evaluate("--weights", weights, "--data", people, "--out", tmp_path / "one").exit_code == 0
    alone = json.loads((tmp_path / "one" / "metrics.json").read_text())
    sources, targets = ("--weights", f"a={weights}"), ("--data", f"x={people}", "--data", f"y={people}")
    result = transfer(*sources, *targets, "--protocol", "y=single-shot")
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[0].split() == ["mAP", "x", "y"]
    assert lines[1].split()[:2] == ["a", f"{alone['mAP']:.4f}"]
    content = json.loads((tmp_path / "t.json").read_text())
    assert content["figures"]["a"]["x"]["rank-1"] == alone["rank-1"]
    assert content["counts"]["y"]["queries_skipped"] == 1
    result = transfer(*sources, "--weights", "b=embedded", "--data", f"x={people}", "--device", "cpu")
    assert result.exit_code == 0, result.output
    for wrong, complaint in (
        ((*sources, "--data", "x"), "x: expected NAME=VALUE"),
        ((*sources, *targets, *targets), "each with its own name"),
        ((*sources, *targets, "--protocol", "z=market"), "z=market: expected a name of --data (x, y)"),
        ((*sources, *targets, "--protocol", "x=best"), "one of market, single-shot"),
        ((*sources, "--data", f"x={tmp_path / 'none'}"), "none: does not exist; expected market"),
    ):
        result = transfer(*wrong)
        assert result.exit_code != 0
        assert complaint in " ".join(result.output.split())


def test_a_users_mistakes_are_one_line(features, tmp_path):
    query, gallery = features
    out = ("--out", tmp_path / "out")
    broken = tmp_path / "broken.npy"
    np.save(broken, np.array([[1], [np.nan], [2]], np.float32))
    labels = ("--labels", query.with_suffix(".csv"), gallery.with_suffix(".csv"))
    for arguments, complaint in (
        ((), "give either --weights or --features"),
        (("--weights", "a", "--features", query, gallery), "give either --weights or --features"),
        (("--weights", "a", *labels), "--weights needs --data, or --labels with --images"),
        (("--features", query, gallery, "--flip"), "--data and --flip go with --weights"),
        (("--weights", "a", "--data", "b", *labels), "--data has labels and images of its own"),
        (("--features", query, gallery, "--device", "tpu"), "device 'tpu': expected auto, cpu or cuda"),
        (("--features", query, broken), "broken.csv: no such file; name the tables of labels with --labels"),
        (("--features", query, broken, *labels), "broken.npy row 1: not a finite number"),
        (("--features", query, gallery, "--protocol", "tracklet"), "needs every crop's tracklet; query lacks 3"),
        (
            ("--features", query, gallery, "--train-labels", gallery.with_suffix(".csv")),
            "leak: 2 identities are both in the training and in the test set (1, 2)",
        ),
        (
            ("--weights", tmp_path / "none.safetensors", "--data", tmp_path / "none"),
            "none: does not exist; expected market: any of",
        ),
    ):
        result = evaluate(*arguments, *out)
        assert result.exit_code != 0
        assert complaint in result.output
        assert "Traceback" not in result.output


def test_the_metric_is_the_one_that_the_file_beside_the_weights_names(people, weights, tmp_path):
    def metric(*options):
        result = evaluate("--weights", weights, "--data", people, "--out", tmp_path / "out", *options)
        assert result.exit_code == 0, result.output
        used = json.loads((tmp_path / "out" / "metrics.json").read_text())["settings"]["metric"]
        assert f"protocol market, metric {used}: " in result.output
        why = [line for line in result.output.splitlines() if line.startswith("metric ")]
        return used, *why

    assert metric() == (
        "euclidean",
        "metric euclidean: the triplet loss, by which the network was trained, compares by it",
    )
    weights.with_suffix(".input.yaml").write_text("metric: cosine")
    assert metric() == ("cosine", "metric cosine: as a.input.yaml says")
    assert metric("--metric", "euclidean") == ("euclidean",)


def test_a_foreign_model_is_ranked_by_cosine_in_every_command(people, tmp_path):
    model = summing(tmp_path / "a.onnx", ("n", 3, 8, 4), ("n", 3))
    given = ("--weights", model, "--data", people, "--pictures", 0)
    result = evaluate(*given, "--out", tmp_path / "auto")
    assert result.exit_code == 0, result.output
    assert "metric cosine: a foreign model, where nothing names another" in result.output
    content = json.loads((tmp_path / "auto" / "metrics.json").read_text())
    assert content["settings"]["metric"] == "cosine"
    searched = people / "query" / NAMES["query"][0], "--data", people / "query"
    for arguments in (
        ("transfer", "--weights", f"a={model}", "--data", f"x={people}", "--out", tmp_path / "t.json"),
        ("search", *searched, "--weights", model, "--out", tmp_path / "found.png"),
        ("inspect", model),
    ):
        result = CliRunner().invoke(main, ["reid", *map(str, arguments)])
        assert result.exit_code == 0, result.output
        assert "cosine" in result.output
    assert json.loads((tmp_path / "t.json").read_text())["figures"]["a"]["x"]["mAP"] == content["mAP"]
