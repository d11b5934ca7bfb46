import cv2
import numpy as np
import pytest

from reid.config import TrainConfig
from reid.errors import ReidError
from reid.evaluation.evaluate import Options
from reid.evaluation.measure import LabelTables, evaluate_features, evaluate_network
from reid.training.on_dataset import train_on_dataset

CONFIG = TrainConfig.model_validate(
    {
        "network": {"backbone": "squeezenet1_1", "height": 48, "width": 24, "global_branch": None},
        "init": "random",
        "sampler": {"identities": 2, "images": 2},
        "iterations": 2,
        "decay_from": 1,
        "evaluate_every": 1,
    }
)
NAMES = {
    "bounding_box_train": ["0001_c1s1_1.png", "0002_c1s1_2.png"],
    "query": ["0003_c1s1_3.png", "0004_c1s1_4.png"],
    "bounding_box_test": ["0003_c2s1_5.png", "0004_c2s1_6.png"],
}


@pytest.fixture
def people(tmp_path):
    for folder, names in NAMES.items():
        (tmp_path / "people" / folder).mkdir(parents=True)
        for number, name in enumerate(names):
            picture = np.random.default_rng((len(folder), number)).integers(0, 256, (50, 20, 3), np.uint8)
            cv2.imwrite(str(tmp_path / "people" / folder / name), picture)
    return tmp_path / "people"


def test_what_was_trained_is_measured_as_it_was_while_training(people, tmp_path):
    trained = train_on_dataset(CONFIG, f"market:{people}", tmp_path / "run", protocol="market")
    assert trained.weights == tmp_path / "run" / "best.safetensors"
    result = evaluate_network(trained.weights, str(people), Options("market"), device="cpu")
    assert result.figures["mAP"] == pytest.approx(trained.metrics["mAP"])
    assert result.counts["queries"] == 2


def test_tables_take_the_place_of_a_data_set(people, tmp_path):
    weights = train_on_dataset(CONFIG, str(people), tmp_path / "run").weights
    for name in ("query", "bounding_box_test"):
        (tmp_path / f"{name}.csv").write_text("\n".join(["path", *NAMES[name]]) + "\n")
        np.save(tmp_path / f"{name}.npy", np.array([[0], [1]], np.float32))
    tables = tmp_path / "query.csv", tmp_path / "bounding_box_test.csv"
    images = people / "query", people / "bounding_box_test"
    listed = evaluate_network(weights, LabelTables(*tables, images), Options(), device="cpu")
    whole = evaluate_network(weights, str(people), Options(), device="cpu")
    assert listed.figures == whole.figures
    files = [table.with_suffix(".npy") for table in tables]
    assert evaluate_features(*files, LabelTables(*tables), Options()).figures["mAP"] == 1
    with pytest.raises(ReidError, match="leak"):
        evaluate_features(*files, LabelTables(*tables, train=tables[0]), Options())


def test_what_cannot_be_measured_is_not_trained(people, tmp_path):
    for path in (people / "query").iterdir():
        path.rename(path.with_name(path.name.replace("c1", "c2")))
    with pytest.raises(ReidError, match="'market' leaves no query a right answer"):
        train_on_dataset(CONFIG, str(people), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_without_a_test_set_there_are_no_figures(people, tmp_path):
    for folder in ("query", "bounding_box_test"):
        (people / folder).rename(tmp_path / folder)
    trained = train_on_dataset(CONFIG, str(people), tmp_path / "run")
    assert trained.weights == tmp_path / "run" / "last.safetensors"
    assert trained.metrics == {}
