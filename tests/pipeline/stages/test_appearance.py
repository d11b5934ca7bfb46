import numpy as np
import pytest

from pipeline.stages.appearance import LENGTH, describe


def picture(*people):
    """A grey ground with persons of (left, top, shirt, trousers), 30 x 80 px each."""
    image = np.full((120, 400, 3), 110, np.uint8)
    for left, top, shirt, trousers in people:
        image[top : top + 20, left : left + 30] = (200, 160, 130)
        image[top + 20 : top + 50, left : left + 30] = shirt
        image[top + 50 : top + 80, left : left + 30] = trousers
    return image


RED, BLUE, BLACK, WHITE = (190, 30, 40), (30, 50, 180), (25, 25, 25), (230, 230, 230)
BOXES = np.array([[20, 20, 50, 100], [120, 20, 150, 100]], np.float32)


def alike(first, second):
    image = picture((20, 20, *first), (120, 20, *second))
    looks = describe(image, BOXES)
    return float(looks[0] @ looks[1])


def test_the_same_clothes_look_the_same():
    assert alike((RED, BLACK), (RED, BLACK)) == pytest.approx(1, abs=1e-5)


def test_other_clothes_look_different_and_two_changes_more_than_one():
    one, two = alike((RED, BLACK), (BLUE, BLACK)), alike((RED, BLACK), (BLUE, WHITE))
    assert two < one < 0.9


def test_where_a_colour_is_worn_matters():
    assert alike((RED, BLACK), (BLACK, RED)) < 0.8


def test_descriptors_are_of_length_one_even_at_the_edge_of_the_picture():
    boxes = np.array([[-5, -5, 10, 10], [390, 100, 420, 140], [50, 50, 50.2, 50.2]], np.float32)
    looks = describe(picture(), boxes)
    assert looks.shape == (3, LENGTH)
    np.testing.assert_allclose(np.linalg.norm(looks, axis=1), 1, atol=1e-5)


def test_nobody_has_no_look():
    assert describe(picture(), np.zeros((0, 4), np.float32)).shape == (0, LENGTH)
