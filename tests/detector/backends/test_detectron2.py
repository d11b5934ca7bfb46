import pickle
import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from detector.backends.load import load_predictor
from detector.config import DetectorConfig
from detector.errors import DetectorError
from detector.models.weights import resolve, source_of
from tests.detector.detectron2.test_import_weights import FLOOR, Vector
from tests.detector.detectron2.vectors.drawn import draw_picture, draw_weights

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
    with pytest.raises(DetectorError, match=r"`pip install .*/detectron2\.git`.*import-detectron2") as caught:
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
    boxes, scores = vector.persons((17, 27))
    assert len(boxes) > 0
    both = predictor.predict([prepared, prepared])
    assert len(both) == 2
    for found in both:
        np.testing.assert_allclose(found.boxes, boxes, rtol=0, atol=1e-3)
        np.testing.assert_allclose(found.scores, scores, rtol=0, atol=1e-5)


@installed
def test_other_models_of_detectron2s_answer_from_the_floor_up(tmp_path):
    from detectron2.config import get_cfg
    from detectron2.modeling import build_model

    settings, yaml = get_cfg(), tmp_path / "config.yaml"
    yaml.write_text(
        "MODEL:\n"
        "  META_ARCHITECTURE: RetinaNet\n"
        "  BACKBONE: {NAME: build_retinanet_resnet_fpn_backbone}\n"
        "  RESNETS: {DEPTH: 18, RES2_OUT_CHANNELS: 64, OUT_FEATURES: [res3, res4, res5]}\n"
        "  FPN: {IN_FEATURES: [res3, res4, res5], OUT_CHANNELS: 16}\n"
        "  RETINANET: {NUM_CLASSES: 2}\n"
        "INPUT: {MIN_SIZE_TEST: 160, MAX_SIZE_TEST: 220}\n"
    )
    settings.merge_from_file(str(yaml))
    settings.merge_from_list(["MODEL.DEVICE", "cpu", "MODEL.RETINANET.SCORE_THRESH_TEST", 0.01])
    settings.merge_from_list(["TEST.DETECTIONS_PER_IMAGE", 5000])
    torch.manual_seed(3)
    itself = build_model(settings).eval()
    torch.save({"model": itself.state_dict()}, tmp_path / "model.pth")
    asked = config(tmp_path / "model.pth", config_file=yaml, persons=(1,)).model_copy(update={"floor": 0.01})
    predictor = load_predictor(asked.model_copy(update={"max_detections": 5000}))
    prepared = predictor.preprocess(draw_picture())
    (found,) = predictor.predict([prepared])
    with torch.inference_mode():
        (expected,) = itself([{"image": prepared.tensor.flip(0), "height": 300, "width": 422}])
    scores = expected["instances"].scores[expected["instances"].pred_classes == 1]
    assert len(scores) > 20
    np.testing.assert_allclose(found.scores, scores, rtol=0, atol=1e-6)


@installed
def test_a_class_that_the_model_does_not_have_is_no_person(tmp_path):
    vector = Vector("fpn")
    path = tmp_path / "model.pth"
    torch.save({"model": {name: torch.zeros(shape) for name, shape in vector.shapes.items()}}, path)
    with pytest.raises(DetectorError, match=r"persons is \[3, 80\]; the classes of .*model\.pth are 0 to 79"):
        load_predictor(config(path, config_file=vector.config, persons=(3, 80)))


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
