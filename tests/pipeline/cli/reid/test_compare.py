import csv
import json
import shutil

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from pipeline.cli import main
from reid.evaluation.intervals import DRAWS, SEED


def reid(*arguments):
    return CliRunner().invoke(main, ["reid", *map(str, arguments)])


@pytest.fixture(scope="module")
def evaluations(tmp_path_factory):
    """Features with little noise, with much, and re-ranked."""
    folder = tmp_path_factory.mktemp("compared")
    rng = np.random.default_rng(0)
    identities = np.arange(60) % 12 + 1
    for name, noise, more in (("good", 0.3, ()), ("bad", 0.9, ()), ("reranked", 0.3, ("--rerank",))):
        files = []
        for part, camera in (("query", 1), ("gallery", 2)):
            file = folder / f"{name}-{part}.npy"
            np.save(file, (np.eye(13)[identities] + noise * rng.standard_normal((60, 13))).astype(np.float32))
            pd.DataFrame({"identity": identities, "camera": camera}).to_csv(file.with_suffix(".csv"), index=False)
            files.append(file)
        result = reid("evaluate", "--features", *files, *more, "--out", folder / name)
        assert result.exit_code == 0, result.output
    return folder


def test_a_table_says_what_is_clear(evaluations):
    result = reid("compare", evaluations / "good", evaluations / "bad" / "metrics.json")
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.output.splitlines()]
    good, bad = (json.loads((evaluations / name / "metrics.json").read_text()) for name in ("good", "bad"))
    assert lines[1][:3] == ["mAP", "good", f"{good['mAP']:.4f}"]
    assert lines[2][0:2] == ["bad", f"{bad['mAP']:.4f}"]
    assert lines[2][5] == f"{bad['mAP'] - good['mAP']:+.4f}"
    assert "clear" not in result.output.splitlines()[2]


def test_csv_and_json_say_the_same(evaluations):
    places = [evaluations / name for name in ("good", "bad")]
    rows = json.loads(reid("compare", *places, "--format", "json").output)
    table = list(csv.DictReader(reid("compare", *places, "--format", "csv").output.splitlines()))
    assert [row["figure"] for row in table] == [row["figure"] for row in rows]
    assert [float(row["value"]) for row in table] == [row["value"] for row in rows]
    assert table[0]["difference"] == ""
    assert rows[0]["difference"] is None
    assert rows[1]["difference_from"] < rows[1]["difference"] < rows[1]["difference_to"] < 0
    assert rows[1]["clear"] is True
    assert "TPIR@FPIR=5%" in {row["figure"] for row in rows}


def test_differences_of_tpr_have_the_interval_of_a_bootstrap_of_pairs(evaluations):
    """Each draw repeats the queries' pairs, and looks for the threshold among them again."""
    identities = np.arange(60) % 12 + 1
    draws = np.random.default_rng(SEED).multinomial(12, np.full(12, 1 / 12), DRAWS)
    own = identities[:, None] == identities

    def rates(name):
        query, gallery = (np.load(evaluations / f"{name}-{part}.npy") for part in ("query", "gallery"))
        distances = np.linalg.norm(query[:, None] - gallery, axis=2)
        for draw in draws:
            rows = np.repeat(np.arange(60), draw[identities - 1])
            genuine, impostors = distances[rows][own[rows]], np.sort(distances[rows][~own[rows]])
            accepted = np.searchsorted(impostors, genuine, "right")
            yield (accepted <= 0.01 * len(impostors)).mean()

    expected = np.percentile(np.array(list(rates("bad"))) - list(rates("good")), [2.5, 97.5])
    rows = json.loads(reid("compare", *(evaluations / name for name in ("good", "bad")), "--format", "json").output)
    found = next(row for row in rows if row["figure"] == "TPR@FPR=1e-2" and row["evaluation"] == "bad")
    assert [found["difference_from"], found["difference_to"]] == pytest.approx(expected)


def test_pairs_of_other_persons_are_refused(evaluations, tmp_path):
    shutil.copytree(evaluations / "good", tmp_path / "other")
    table = tmp_path / "other" / "pairs.parquet"
    pd.read_parquet(table).iloc[1:].to_parquet(table)
    result = reid("compare", evaluations / "good", tmp_path / "other")
    assert (result.exit_code, result.output) == (
        1,
        f"uavpipe: {table}: not the pairs of queries.parquet; evaluate again\n",
    )
    table.unlink()
    rows = json.loads(reid("compare", evaluations / "good", tmp_path / "other", "--format", "json").output)
    clear = {row["figure"]: row["clear"] for row in rows if row["evaluation"] == "other"}
    assert clear["TPR@FPR=1e-2"] is None
    assert clear["mAP"] is False


def test_other_metrics_are_compared_and_named(evaluations, tmp_path):
    files = [evaluations / f"good-{part}.npy" for part in ("query", "gallery")]
    result = reid("evaluate", "--features", *files, "--metric", "cosine", "--out", tmp_path / "by_angles")
    assert result.exit_code == 0, result.output
    result = reid("compare", evaluations / "good", tmp_path / "by_angles")
    assert result.exit_code == 0, result.output
    assert result.stderr == "note: ranked by different metrics: good euclidean, by_angles cosine\n"
    assert reid("compare", evaluations / "good", evaluations / "bad").stderr == ""


def test_another_use_of_the_same_network_is_named(evaluations, tmp_path):
    shutil.copytree(evaluations / "good", tmp_path / "other")
    file = tmp_path / "other" / "metrics.json"
    content = json.loads(file.read_text())
    content["settings"]["flip"] = True
    file.write_text(json.dumps(content))
    result = reid("compare", evaluations / "good", tmp_path / "other")
    assert result.stderr == "note: means with the mirror image for one only: good False, other True\n"
    inputs = [{**content["inputs"], "input": f"RGB, {values}"} for values in ("0 to 1", "0 to 255")]
    for name, each in zip(("one", "two"), inputs, strict=True):
        shutil.copytree(evaluations / "good", tmp_path / name)
        (tmp_path / name / "metrics.json").write_text(json.dumps({**content, "inputs": each}))
    result = reid("compare", tmp_path / "one", tmp_path / "two")
    assert result.stderr == "note: foreign models with different inputs: one RGB, 0 to 1, two RGB, 0 to 255\n"
    assert reid("compare", evaluations / "good", evaluations / "good").stderr == ""


def test_unlike_and_missing_evaluations_are_one_line(evaluations):
    for places, complaint in (
        (("good", "reranked"), "good and reranked cannot be compared: they differ in re-ranking (False, True)"),
        (("good", "none"), "none: no evaluation; expected metrics.json and its tables"),
        (("good",), "expected two or more evaluations"),
    ):
        result = reid("compare", *(evaluations / place for place in places))
        assert result.exit_code != 0
        assert complaint in " ".join(result.output.split())
