import numpy as np
import pytest
import torch

from detector.backends.torchvision import Predictor
from detector.config import DetectorConfig, Resize
from detector.errors import DetectorError

CONFIG = DetectorConfig(weights="embedded", device="cpu", resize=Resize(width=192, height=192), floor=0.01)


@pytest.fixture(scope="module")
def predictor():
    return Predictor.load(CONFIG)


def pictures(*sizes):
    rng = np.random.default_rng(5)
    return [np.asarray(rng.integers(0, 256, (height, width, 3)), np.uint8) for width, height in sizes]


def test_boxes_are_in_pixels_of_the_original(predictor):
    (image,) = pictures((384, 216))
    (found,) = predictor.predict([predictor.preprocess(image)])
    assert len(found)
    assert (found.boxes >= 0).all()
    assert (found.boxes[:, [0, 2]] <= 384).all()
    assert (found.boxes[:, [1, 3]] <= 216).all()
    assert found.boxes[:, 2].max() > 192  # scaled back, not left at the model's size
    assert (found.scores >= 0.01).all()


def test_an_image_gives_the_same_alone_and_in_a_batch(predictor):
    prepared = [predictor.preprocess(image) for image in pictures((384, 216), (200, 300), (384, 216))]
    together = predictor.predict(prepared)
    for one, expected in zip(prepared, together, strict=True):
        (alone,) = predictor.predict([one])
        assert len(alone) == len(expected)
        np.testing.assert_allclose(alone.boxes, expected.boxes, rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose(alone.scores, expected.scores, atol=1e-4)


def test_the_same_image_twice_is_the_same_to_the_bit(predictor):
    prepared = predictor.preprocess(pictures((384, 216))[0])
    first, second = predictor.predict([prepared])[0], predictor.predict([prepared])[0]
    np.testing.assert_array_equal(first.boxes, second.boxes)
    np.testing.assert_array_equal(first.scores, second.scores)


@pytest.mark.parametrize("size", [(1, 1), (1, 400), (3, 2)])
def test_a_tiny_image_shows_nobody_and_leaves_its_neighbour_alone(predictor, size):
    tiny, image = (predictor.preprocess(one) for one in pictures(size, (384, 216)))
    found, neighbour = predictor.predict([tiny, image])
    assert len(found) == 0
    assert len(neighbour) == len(predictor.predict([image])[0]) > 0


def test_a_long_thin_image_is_taken(predictor):
    (found,) = predictor.predict([predictor.preprocess(pictures((2000, 9))[0])])
    assert (found.boxes <= [2000, 9, 2000, 9]).all()


def test_a_long_thin_image_does_not_change_what_is_found_after_it(predictor):
    thin, image = (predictor.preprocess(one) for one in pictures((2000, 9), (384, 216)))
    fresh = Predictor.load(CONFIG)
    fresh.predict([thin])
    (after,), (expected,) = fresh.predict([image]), predictor.predict([image])
    assert len(expected)
    np.testing.assert_array_equal(after.boxes, expected.boxes)


@pytest.mark.parametrize("image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)])
def test_what_is_no_rgb_image_is_refused(predictor, image):
    with pytest.raises(ValueError, match=r"must be uint8 \(H, W, 3\)"):
        predictor.preprocess(image)


def test_nothing_in_nothing_out(predictor):
    assert predictor.predict([]) == []


def test_settings_bound_the_answer():
    few = Predictor.load(CONFIG.model_copy(update={"max_detections": 3}))
    assert len(few.predict([few.preprocess(pictures((384, 216))[0])])[0]) == 3


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
@pytest.mark.parametrize(
    ("change", "expected"),
    [({"device": "cuda"}, "no such usable NVIDIA GPU"), ({"precision": "fp16"}, "needs a CUDA device")],
)
def test_what_this_machine_lacks_is_said(change, expected):
    with pytest.raises(DetectorError, match=expected):
        Predictor.load(CONFIG.model_copy(update=change))


def test_a_gpu_that_is_not_there_is_said(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(DetectorError, match=r"^device 'cuda:7': no such usable NVIDIA GPU here"):
        Predictor.load(CONFIG.model_copy(update={"device": "cuda:7"}))


def test_the_errors_of_a_gpu_are_one_line_that_names_the_setting(monkeypatch):
    predictor = Predictor.load(CONFIG)
    prepared = predictor.preprocess(pictures((384, 216))[0])
    failures = {
        torch.OutOfMemoryError("CUDA out of memory.\nTried"): r"^the GPU's memory ran out; set a lower detector",
        torch.AcceleratorError("CUDA error: illegal\nCompile"): r"^the GPU failed \(CUDA error: illegal Compile\);",
    }

    def dead():
        raise torch.AcceleratorError("CUDA error: illegal")

    monkeypatch.setattr(torch.cuda, "empty_cache", dead)
    for error, expected in failures.items():

        def fail(images, error=error):
            raise error

        monkeypatch.setattr(predictor, "_model", fail)
        with pytest.raises(DetectorError, match=expected) as caught:
            predictor.predict([prepared])
        assert "detector.batch_size" in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["rpn.head.cls_logits.bias", "roi_heads.box_predictor.bbox_pred.bias"])
def test_numbers_that_overflow_are_an_error_not_an_empty_picture(name):
    predictor = Predictor.load(CONFIG)
    predictor._model.state_dict()[name].fill_(float("inf"))
    with pytest.raises(DetectorError, match=r"not finite in fp32.*take detector.precision: bf16 or fp32"):
        predictor.predict([predictor.preprocess(pictures((384, 216))[0])])
