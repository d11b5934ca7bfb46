import json
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from pydantic import ValidationError

from reid.config import TrainConfig
from reid.errors import ReidError
from reid.training.recipes import recipe_file
from reid.training.table1 import Cell, Run, Table1, Table1Config, recipe, table

PAPERS = recipe_file(Path("table1"))
NETWORK = {"backbone": "squeezenet1_1", "height": 48, "width": 24, "global_branch": None}
TINY = {"init": "random", "sampler": {"identities": 2, "images": 2}, "iterations": 2, "decay_from": 1}
PROPOSED = TINY | {"network": NETWORK | {"group_branch": {"dimension": 8}}, "loss": {"lgm": {}}}


def people(root):
    for part, persons in (("bounding_box_train", (1, 2)), ("query", (3, 4)), ("bounding_box_test", (3, 4))):
        (root / part).mkdir(parents=True)
        for person in persons:
            for camera in (1, 2) if part == "bounding_box_train" else (len(part),):
                picture = np.random.default_rng((person, camera)).integers(0, 256, (50, 20, 3), np.uint8)
                cv2.imwrite(str(root / part / f"000{person}_c{camera}s1_000001_00.png"), picture)
    return root


@contextmanager
def silent(title, total):
    yield lambda done, text: None


def test_the_papers_grid_has_the_papers_recipes():
    config = Table1Config.model_validate(yaml.safe_load(PAPERS.read_text()))
    drone, source = (
        TrainConfig.model_validate(yaml.safe_load((PAPERS.parent / f"{name}.yaml").read_text()))
        for name in ("drone", "source")
    )
    assert config.source == source
    assert recipe(config, Cell("Market1501", "proposed", 0.2), 0, drone.init) == drone
    baseline = recipe(config, Cell("ImageNet", "triplet", 0.1), 2, "imagenet")
    assert (baseline.iterations, baseline.decay_from, baseline.seed) == (25_000, 15_000, 2)
    assert (baseline.loss.triplet.margin, baseline.loss.lgm, baseline.network.group_branch) == (0.1, None, None)


def test_the_grid_is_trained_once_and_what_is_missing_is_named(tmp_path):
    target, source = people(tmp_path / "target"), people(tmp_path / "source")
    config = Table1Config.model_validate(
        {
            "target": str(target),
            "sources": {"A": f"market:{source}", "B": f"msmt17:{tmp_path / 'none'}"},
            "margins": [0.2],
            "seeds": [0],
            "source": TINY | {"network": NETWORK},
            "from_source": PROPOSED,
            "without_source": PROPOSED,
        }
    )
    for name in ("source", "without_source"):  # found before the first of the trainings
        start = getattr(config, name).model_copy(update={"init": "gone.pth"})
        with pytest.raises(ReidError, match=r"init: gone\.pth: no such file"):
            Table1(config.model_copy(update={name: start}), tmp_path / "out")
    grid = Table1(config, tmp_path / "out")
    assert list(grid.missing) == ["B"]
    assert grid.chance["rank-10"] == 1  # two crops in the gallery
    runs = list(grid.runs(silent))
    cells = [(run.cell.source, run.cell.loss) for run in runs]
    assert cells == [("random", "triplet"), ("random", "proposed"), ("A", "triplet"), ("A", "proposed")]
    started = json.loads((tmp_path / "out" / "A-proposed-0.2-seed0" / "run.json").read_text())
    assert started["config"]["init"] == str(tmp_path / "out" / "sources" / "A-0.2-seed0" / "last.safetensors")

    @contextmanager
    def forbidden(title, total):
        raise AssertionError(f"{title} is trained again")
        yield

    assert list(Table1(config, tmp_path / "out").runs(forbidden)) == runs
    shards = [list(Table1(config, tmp_path / "out").runs(forbidden, number, 2)) for number in (1, 2)]
    assert all(shards)
    assert sorted([*shards[0], *shards[1]], key=runs.index) == runs
    (tmp_path / "out" / "A-triplet-0.2-seed0" / "table1.json").unlink()
    assert list(Table1(config, tmp_path / "out").runs(forbidden)) == runs  # measured again, not trained
    (tmp_path / "out" / "A-triplet-0.2-seed0" / "table1.json").write_text("[1")
    with pytest.raises(ReidError, match=r"table1\.json: was not written by 'uavpipe reid table1'"):
        list(Table1(config, tmp_path / "out").runs(forbidden))
    other = config.model_copy(update={"without_source": config.without_source.model_copy(update={"iterations": 3})})
    with pytest.raises(ReidError, match="holds a run with other settings"):
        list(Table1(other, tmp_path / "out").runs(silent))


def test_the_table_has_means_and_deviations_over_seeds():
    config = Table1Config.model_validate(yaml.safe_load(PAPERS.read_text()))
    figures = {"mAP": 0.5, "rank-1": 0.6, "rank-5": 0.7, "rank-10": 0.8}
    runs = [
        Run(Cell("ImageNet", "triplet", 0.1), 0, figures),
        Run(Cell("ImageNet", "triplet", 0.1), 1, figures | {"mAP": 0.7}),
        Run(Cell("CUHK03", "proposed", 0.3), 0, figures),
    ]
    chance = {"mAP": 0.021, "rank-1": 0.01, "rank-5": 0.05, "rank-10": 0.1}
    lines = table(config, runs, {"Market1501": "market1501:data/market1501"}, chance).splitlines()
    assert lines[0].startswith("| mAP | triplet, 0.1 | triplet, 0.2 | triplet, 0.3 | proposed, 0.1 |")
    # 50 and 70: mean 60, sample deviation sqrt((10² + 10²) / 1) = 14.1
    assert lines[2] == "| ImageNet | 60.0 ± 14.1 | open | open | open | open | open |"
    assert lines[3] == "| Market1501 |" + " no data |" * 6
    assert lines[4] == "| CUHK03 | open | open | open | open | open | 50.0 |"
    counted = "On data/drone, protocol tracklet; 3 runs, 2 of 3 seeds."
    assert f"{counted} The sources' networks started from imagenet." in lines
    assert lines[-2] == "Random features get there: mAP 2.1, rank-1 1.0, rank-5 5.0, rank-10 10.0."
    assert lines[-1] == "No data for Market1501: there is no market1501:data/market1501."


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"sources": {"ImageNet": "a"}}, "needs no data"),
        ({"sources": {"../a": "a"}}, "pattern"),
        ({"from_source": {}}, "from_source.loss.lgm: the proposed loss needs it"),
        ({"seeds": []}, "at least 1"),
    ],
)
def test_what_is_no_grid_is_refused(change, complaint):
    with pytest.raises(ValidationError, match=complaint):
        Table1Config.model_validate(yaml.safe_load(PAPERS.read_text()) | change)
