import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.boxes import iou, pixel_window

coordinates = st.floats(-50, 250, width=32)


def box(*values):
    return np.array(values, np.float32)


@pytest.mark.parametrize(
    ("values", "padding", "expected"),
    [
        ((10, 20, 30, 60), 0.0, (10, 20, 30, 60)),
        ((10.4, 20.6, 30.2, 59.5), 0.0, (10, 20, 31, 60)),  # whole pixels, none of the person cut off
        ((10, 20, 30, 60), 0.1, (8, 16, 32, 64)),
        ((-5, -5, 30, 60), 0.0, (0, 0, 30, 60)),
        ((90, 80, 130, 140), 0.0, (90, 80, 100, 100)),
        ((100, 100, 100, 100), 0.0, (99, 99, 100, 100)),
    ],
)
def test_window_by_hand(values, padding, expected):
    assert pixel_window(box(*values), padding, width=100, height=100) == expected


@given(coordinates, coordinates, st.floats(0, 200), st.floats(0, 200), st.floats(0, 1))
def test_a_window_always_has_a_pixel_of_the_image(x, y, width, height, padding):
    left, top, right, bottom = pixel_window(box(x, y, x + width, y + height), padding, 200, 100)
    assert 0 <= left < right <= 200
    assert 0 <= top < bottom <= 100


def test_overlap_by_hand():
    first, second = np.array([[0, 0, 2, 2], [5, 5, 6, 6]], np.float32), np.array([[1, 0, 3, 2]], np.float32)
    np.testing.assert_allclose(iou(first, second), [[2 / 6], [0]])
