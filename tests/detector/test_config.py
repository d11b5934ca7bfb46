import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from detector.config import DetectorConfig, Resize


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (Resize(width=800, height=648, keep_aspect=False), (800, 648)),  # the paper's
        (Resize(width=960, height=960), (960, 540)),
        (Resize(short_side=800, max_side=1333), (1333, 750)),  # detectron2's rounding; torchvision says 749
        (Resize(short_side=1200, max_side=1999), (1999, 1124)),
        (Resize(short_side=540), (960, 540)),
    ],
)
def test_full_hd_by_hand(rule, expected):
    assert rule.size(1920, 1080) == expected


@given(st.integers(1, 5000), st.integers(1, 5000))
def test_a_size_is_never_empty_and_fits(width, height):
    new_width, new_height = Resize(width=960, height=960).size(width, height)
    assert 1 <= new_width <= 960
    assert 1 <= new_height <= 960
    assert max(new_width, new_height) == 960


@pytest.mark.parametrize(
    "rule", [{}, {"width": 800}, {"width": 8, "height": 8, "short_side": 8}, {"short_side": 0}]
)
def test_half_a_rule_is_refused(rule):
    with pytest.raises(ValidationError):
        Resize(**rule)


def test_the_floor_must_not_exceed_the_threshold():
    with pytest.raises(ValidationError, match=r"floor \(0.5\) must not exceed threshold \(0.3\)"):
        DetectorConfig(floor=0.5, threshold=0.3)


def test_the_file_of_the_weights_chooses_its_backend_unless_one_is_set():
    for weights, backend in (("a.onnx", "onnx"), ("a.xml", "openvino"), ("a.safetensors", "torchvision")):
        assert DetectorConfig(weights=weights).backend == backend
    assert DetectorConfig(weights="a.onnx", backend="torchvision").backend == "torchvision"
