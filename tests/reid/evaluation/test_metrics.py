import numpy as np
import pytest

from reid.evaluation.metrics import joined, rate


def test_figures_by_hand():
    # Query 0: right at ranks 1, 3 and 4; query 1: none; query 2: at rank 5 alone.
    rows, ranks = np.array([0, 0, 0, 2]), np.array([4, 1, 3, 5])
    step = rate(rows, ranks, 3)
    np.testing.assert_allclose(step.average_precision, [(1 + 2 / 3 + 3 / 4) / 3, np.nan, 1 / 5])
    assert step.first_hit.tolist() == [1, 0, 5]
    assert step.positives.tolist() == [3, 0, 1]
    np.testing.assert_allclose(step.inverse_negative_penalty, [3 / 4, np.nan, 1 / 5])
    trapezoid = rate(rows, ranks, 3, "trapezoid").average_precision
    by_hand = (1 + (1 / 2 + 2 / 3) / 2 + (2 / 3 + 3 / 4) / 2) / 3
    np.testing.assert_allclose(trapezoid, [by_hand, np.nan, (0 + 1 / 5) / 2])
    assert step.figures() == pytest.approx(
        {
            "mAP": (29 / 36 + 1 / 5) / 2,
            "mINP": (3 / 4 + 1 / 5) / 2,
            "rank-1": 0.5,
            "rank-5": 1,
            "rank-10": 1,
            "rank-20": 1,
        }
    )


def test_joined_rankings_are_one_after_the_other():
    one, other = rate(np.array([0]), np.array([2]), 2), rate(np.array([0]), np.array([7]), 1)
    both = joined([one, other])
    assert both.first_hit.tolist() == [2, 0, 7]
    assert len(both) == 3
