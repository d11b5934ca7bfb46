import cv2
import numpy as np
import pytest

from reid.embedder import Embedder
from reid.errors import ReidError
from reid.evaluation.evaluate import Evaluation, Options
from reid.evaluation.input_choice import Choice, by_metric, choices, metric_verdict, some_persons, verdict
from tests.reid.test_input_convention import summing


@pytest.fixture
def people(tmp_path):
    """Two persons in one colour each, seen by two cameras; a third who is left out."""
    for folder, camera in (("query", 1), ("bounding_box_test", 2)):
        (tmp_path / folder).mkdir()
        for person, colour in ((1, (200, 40, 40)), (2, (40, 40, 200)), (3, (40, 200, 40))):
            noise = np.random.default_rng((person, camera)).integers(-30, 30, (8, 4, 3))
            image = (np.array(colour) + noise).astype(np.uint8)
            cv2.imwrite(str(tmp_path / folder / f"{person:04d}_c{camera}s1_000001_00.png"), image)
    return tmp_path


def test_each_input_is_tried_on_some_persons(people, tmp_path):
    evaluation = some_persons(str(people), 2)
    assert evaluation.candidates.query.identities.tolist() == [1, 2]
    model = summing(tmp_path / "a.onnx", (1, 3, 8, 4), (1, 3))
    found = choices(Embedder.load(model, "cpu", {"range": "0-255"}), evaluation)
    assert len({(choice.range, choice.colours) for choice in found}) == len(found) == 8
    assert [(choice.range, choice.colours) for choice in found if choice.is_used] == [("0-255", "rgb")]
    assert all(choice.precision == choice.rank1 == 1 for choice in found)
    # Sums of colours about zero point in opposite directions, those above it in one.
    cosine = {choice.range: choice.cosine for choice in found}
    assert cosine["-1-1"] < 0 < cosine["0-1"] == pytest.approx(cosine["0-255"], abs=1e-4)


def test_a_model_of_bytes_has_nothing_to_choose(people, tmp_path):
    onnx = pytest.importorskip("onnx")
    model = onnx.load(summing(tmp_path / "b.onnx", (1, 3, 8, 4), (1, 3)))
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.UINT8
    model.graph.node[0].input[0] = "z"
    model.graph.node.insert(0, onnx.helper.make_node("Cast", ["x"], ["z"], to=onnx.TensorProto.FLOAT))
    onnx.save(model, str(tmp_path / "b.onnx"))
    with pytest.raises(ReidError, match="has the scaling of its input inside; there is nothing to choose"):
        choices(Embedder.load(tmp_path / "b.onnx", "cpu"), some_persons(str(people), 2))


def test_the_verdict_names_a_clearly_better_input():
    best, used = Choice("0-255", "rgb", False, 0.6, 0.7, 0.3), Choice("imagenet", "rgb", True, 0.1, 0.1, 0.99)
    assert verdict([best, used]) == "give it --input range=0-255 --input colours=rgb: better by 0.500 mAP"
    assert verdict([Choice("0-1", "bgr", False, 0.12, 0.1, 0.5), used]) == "no other input is clearly better"


def test_metrics_are_compared_on_the_same_persons(people, tmp_path):
    evaluation = some_persons(str(people), 3)
    used = Embedder.load(summing(tmp_path / "a.onnx", (1, 3, 8, 4), (1, 3)), "cpu", {"range": "0-255"})
    found = by_metric(used, evaluation)
    crops = evaluation.candidates
    features = [used.embed_files(each.paths) for each in (crops.query, crops.gallery)]
    for metric, value in found.items():
        of_one = Evaluation(crops.query, crops.gallery, Options(metric=metric))
        assert value == of_one(*features).figures["mAP"]
    assert list(found) == ["euclidean", "cosine"]


def test_a_clearly_better_metric_is_named():
    found = {"euclidean": 0.493, "cosine": 0.550}
    figures = "mAP by metric: euclidean 0.493, cosine 0.550"
    assert metric_verdict(found, "euclidean") == (
        f"{figures}; keep 'metric: cosine' in MODEL.input.yaml, and evaluations use it"
    )
    assert metric_verdict(found, "cosine") == figures
