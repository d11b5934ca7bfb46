import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from detector.evaluation.matching import NOBODY, match, overlaps

HALF = np.array([0.5])


def boxes(*rows):
    return np.array(rows, np.float32).reshape(-1, 4)


def flags(*values):
    return np.array(values, bool)


def test_a_persons_fit_is_the_iou_and_a_regions_the_share_inside():
    found, truth = boxes([0, 0, 10, 10]), boxes([0, 0, 20, 20], [5, 0, 15, 10])
    np.testing.assert_allclose(overlaps(found, truth, flags(0, 0)), [[0.25, 1 / 3]])
    np.testing.assert_allclose(overlaps(found, truth, flags(1, 1)), [[1, 0.5]])


@pytest.mark.parametrize(("found", "truth"), [(0, 0), (0, 2), (3, 0)])
def test_nothing_to_compare(found, truth):
    nothing = overlaps(np.zeros((found, 4)), np.zeros((truth, 4)), np.zeros(truth, bool))
    assert nothing.shape == (found, truth)
    assert match(nothing, np.zeros(truth, bool), HALF).tolist() == [[NOBODY] * found]


@pytest.mark.parametrize(
    ("fits", "ignored", "chosen"),
    [
        ([[0.5]], [0], [0]),  # the threshold itself is enough
        ([[0.49]], [0], [NOBODY]),
        ([[0.6, 0.9]], [0, 0], [1]),
        ([[0.9, 0.9]], [0, 0], [1]),  # of equals the last one
        ([[0.7], [0.9]], [0], [0, NOBODY]),  # the better detection has the choice, not the better fit
        ([[0.9, 0.6], [0.9, 0.6]], [0, 0], [0, 1]),  # the second one takes what is left
        ([[0.9], [0.9]], [1], [0, 0]),  # something ignored excuses any number
        ([[1.0, 0.5]], [1, 0], [1]),  # a person comes before it, however well it fits
        ([[1.0, 0.5], [1.0, 0.5]], [1, 0], [1, 0]),
    ],
)
def test_by_hand(fits, ignored, chosen):
    assert match(np.array(fits), flags(*ignored), HALF)[0].tolist() == chosen


def test_each_threshold_is_a_matching_of_its_own():
    fits = np.array([[0.6, 0.8], [0.0, 0.7]])
    assert match(fits, flags(0, 0), np.array([0.5, 0.75])).tolist() == [[1, NOBODY], [1, NOBODY]]
    fits = np.array([[0.6, 0.0], [0.9, 0.7]])
    assert match(fits, flags(0, 0), np.array([0.5, 0.65])).tolist() == [[0, 1], [NOBODY, 0]]


def one_by_one(fits, ignored, threshold):
    """The same rules, step by step."""
    taken, chosen = set(), []
    for row in fits:
        able = [g for g, fit in enumerate(row) if fit >= threshold and g not in taken]
        able = [g for g in able if not ignored[g]] or able
        best = max(able, key=lambda g: (row[g], g), default=NOBODY)
        chosen.append(best)
        if best != NOBODY and not ignored[best]:
            taken.add(best)
    return chosen


@settings(deadline=None)
@given(st.data(), st.lists(st.booleans(), max_size=8), st.integers(0, 8))
def test_equal_to_a_loop(data, ignored, detections):
    some = st.sampled_from([0, 0.3, 0.5, 0.6, 0.8, 1])
    fits = data.draw(arrays(np.float64, (detections, len(ignored)), elements=some))
    thresholds = np.array([0.5, 0.75])
    expected = [one_by_one(fits, ignored, threshold) for threshold in thresholds]
    assert match(fits, np.array(ignored, bool), thresholds).tolist() == expected
