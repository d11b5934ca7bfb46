import pickle
import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from detector.config import DetectorConfig
from detector.errors import DetectorError
from detector.load import load_predictor
from detector.weights import resolve, source_of
from tests.detector.detectron2_vectors.drawn import draw_picture, draw_weights
from tests.detector.test_detectron2_import import FLOOR, Vector

installed = pytest.mark.skipif(find_spec("detectron2") is None, reason="detectron2 is not installed")


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps({"model": {"a": np.ones(2)}, "__author__": "test"}))
    return path


def config(path, **detectron2):
    return DetectorConfig(
        weights=str(path), backend="detectron2", device="cpu", floor=FLOOR, batch_size=2, detectron2=detectron2
    )


def test_where_detectron2_is_absent_one_line_says_what_to_do(model, monkeypatch):
    monkeypatch.setitem(sys.modules, "detectron2", None)
    with pytest.raises(DetectorError, match=r"not installed here .*'make detectron2'.*import-detectron2") as caught:
        load_predictor(config(model))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("weights", ["auto", "mine.safetensors"])
def test_it_runs_detectron2s_files_alone(weights):
    with pytest.raises(DetectorError, match=rf"weights is '{weights}'; expected detectron2's \.pkl or \.pth"):
        source_of(config(weights))


def test_a_result_depends_on_the_weights_and_on_the_configuration(model, tmp_path):
    settings = tmp_path / "config.yaml"
    settings.write_text("INPUT: {MIN_SIZE_TEST: 800}")
    found = {source_of(config(model)).sha256, source_of(config(model, config_file=settings)).sha256}
    settings.write_text("INPUT: {MIN_SIZE_TEST: 1200}")
    found.add(source_of(config(model, config_file=settings)).sha256)
    model.write_bytes(pickle.dumps({"model": {"a": np.zeros(2)}}))
    found.add(source_of(config(model, config_file=settings)).sha256)
    assert len(found) == 4


def test_a_file_that_is_missing_is_named(model, tmp_path):
    for wrong in (config(tmp_path / "none.pth"), config(model, config_file=tmp_path / "none.yaml")):
        with pytest.raises(DetectorError, match=r"none\.(pth|yaml): no such file"):
            source_of(wrong)


def test_without_the_backend_a_pickle_is_told_from_a_checkpoint(model):
    with pytest.raises(DetectorError, match="import-detectron2"):
        resolve(str(model), None)


@installed
def test_detectron2_itself_finds_what_it_found_when_the_vectors_were_made(tmp_path):
    vector = Vector("fpn")
    path = tmp_path / "model.pth"
    torch.save(
        {"model": {name: torch.from_numpy(value) for name, value in draw_weights(vector.shapes).items()}}, path
    )
    predictor = load_predictor(config(path, config_file=vector.config, persons=(17, 27)))
    path.unlink()
    prepared = predictor.preprocess(draw_picture())
    for found in predictor.predict([prepared, prepared]):
        boxes, scores = vector.persons((17, 27))
        np.testing.assert_allclose(found.boxes, boxes, rtol=0, atol=1e-3)
        np.testing.assert_allclose(found.scores, scores, rtol=0, atol=1e-5)


@installed
@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("MODEL: {NO_SUCH_KEY: 1}", "detectron2 says: .*NO_SUCH_KEY"),
        ("MODEL: {RPN: {NMS_THRESH: high}}", "detectron2 says: .*NMS_THRESH"),
        ("MODEL: {META_ARCHITECTURE: NoSuchModel}", "detectron2 says: .*NoSuchModel"),
        ("INPUT: {MIN_SIZE_TEST: 800}", "not the weights of this model"),
    ],
)
def test_settings_and_weights_that_do_not_fit_are_one_line(model, tmp_path, settings, expected):
    path = tmp_path / "config.yaml"
    path.write_text(settings)
    with pytest.raises(DetectorError, match=expected) as caught:
        load_predictor(config(model, config_file=path))
    assert "\n" not in str(caught.value)
