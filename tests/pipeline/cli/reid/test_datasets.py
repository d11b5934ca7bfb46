import csv

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from pipeline.cli import main
from reid.datasets.formats import FORMATS


def reid(*arguments):
    return CliRunner().invoke(main, ["reid", *map(str, arguments)])


@pytest.fixture
def people(tmp_path):
    for part, persons, cameras in (
        ("bounding_box_train", (1, 2), (1, 2)),
        ("query", (3, 4), (1,)),
        ("bounding_box_test", (3, 4), (2,)),
    ):
        (tmp_path / "people" / part).mkdir(parents=True)
        for person in persons:
            for camera in cameras:
                picture = np.random.default_rng((person, camera)).integers(0, 256, (50, 20, 3), np.uint8)
                cv2.imwrite(str(tmp_path / "people" / part / f"000{person}_c{camera}s1_000001_00.png"), picture)
    return tmp_path / "people"


def test_formats_are_listed_and_a_data_set_is_counted(people):
    listed = reid("datasets").output
    assert all(f"\n{name}\n" in f"\n{listed}" for name in FORMATS)
    assert "train 1,041 persons, 32,621 images; query 3,060 persons, 11,659 images" in listed
    (people / "bounding_box_test" / "-1_c2s1_000001_00.png").write_bytes(b"")
    (people / "bounding_box_test" / "0000_c2s1_000001_00.png").write_bytes(b"")
    result = reid("check", "market", people)
    assert result.exit_code == 0, result.output
    rows = [line.split() for line in result.output.splitlines()]
    assert rows[0] == ["persons", "images", "cameras", "tracklets", "distractors", "junk"]
    assert rows[1:4] == [
        ["train", "2", "4", "2", "4", "0", "0"],
        ["query", "2", "2", "1", "2", "0", "0"],
        ["gallery", "2", "4", "1", "2", "1", "1"],
    ]
    assert rows[4][-1] == f"market:{people}"


def test_a_users_mistakes_are_one_line(people, tmp_path):
    for arguments, complaint in (
        (("check", "mars", people), "FORMAT mars: expected one of market, csv"),
        (("check", "market1501", people), "2 identities in market1501's train part, but 751 were published"),
        (("train", "--data", f"msmt17:{people}", "--config", "c", "--output", "o"), "c: no such recipe"),
        (("cut-cuhk-sysu", people, "--out", people), "already exists; name a new folder"),
        (("cut-cuhk-sysu", people, "--out", tmp_path / "x"), "not CUHK-SYSU; expected"),
        (("extract-cuhk03", people, "--out", tmp_path / "x"), "people: "),
    ):
        result = reid(*arguments)
        assert result.exit_code != 0
        assert complaint in " ".join(result.output.split())
        assert "Traceback" not in result.output
    assert not (tmp_path / "x").exists()


RECIPE = (
    "{init: random, iterations: 2, decay_from: 1, loss: {lgm: {}}, sampler: {identities: 2, images: 2}, network: "
    "{backbone: squeezenet1_1, height: 48, width: 24, global_branch: null, group_branch: {dimension: 8}}}"
)


def test_table_1_is_printed_and_saved(people, tmp_path):
    grid = f"target: {people}\nsources: {{B: 'msmt17:none'}}\nmargins: [0.2]\nseeds: [0, 1]\n"
    (tmp_path / "grid.yaml").write_text(f"{grid}from_source: {RECIPE}\nwithout_source: {RECIPE}\n")
    out = tmp_path / "out"
    result = reid("table1", "--config", tmp_path / "grid.yaml", "--output", out, "--set", "seeds=[0]")
    assert result.exit_code == 0, result.output
    assert "no data for B: msmt17:none does not exist; its row stays empty" in result.output
    assert (out / "table1.md").read_text() in result.output
    with (out / "table1.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["source"], row["loss"], row["seed"]) for row in rows] == [
        ("random", "triplet", "0"),
        ("random", "proposed", "0"),
    ]
