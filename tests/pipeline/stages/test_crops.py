import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.stages.crops import crop_window, sharpness

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
    assert crop_window(box(*values), padding, width=100, height=100) == expected


@given(coordinates, coordinates, st.floats(0, 200), st.floats(0, 200), st.floats(0, 1))
def test_a_window_always_holds_a_pixel_of_the_image(x, y, width, height, padding):
    left, top, right, bottom = crop_window(box(x, y, x + width, y + height), padding, 200, 100)
    assert 0 <= left < right <= 200
    assert 0 <= top < bottom <= 100


def test_blur_lowers_sharpness():
    import cv2

    noise = np.random.default_rng(0).integers(0, 256, (96, 48, 3), np.uint8)
    blurred = [cv2.GaussianBlur(noise, (0, 0), sigma) for sigma in (1, 2, 4)]
    values = [sharpness(image) for image in (noise, *blurred)]
    assert values == sorted(values, reverse=True)
    assert sharpness(np.full((40, 20, 3), 90, np.uint8)) == 0
