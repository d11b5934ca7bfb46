import numpy as np
import pytest

from detector.evaluation.curves import Judged, together
from detector.evaluation.intervals import Resampled, ap50_interval


def image(scores, right, persons):
    scores = np.array(scores, np.float32)
    heights = np.full(len(scores), 30, np.float32)
    return Judged(scores, np.array(right, bool), heights, np.full(persons, 30, np.float32), images=1)


@pytest.fixture
def each():
    rng = np.random.default_rng(4)
    images = []
    for persons in (0, 3, 8, 5, 1, 7):
        scores = np.sort(rng.random(9))[::-1]
        right = np.zeros(9, bool)
        right[rng.permutation(9)[: persons // 2]] = True
        images.append(image(scores, right, persons))
    return images


@pytest.mark.parametrize("times", [(1, 1, 1, 1, 1, 1), (0, 3, 0, 1, 2, 0), (4, 0, 0, 2, 0, 0), (0, 0, 0, 0, 6, 0)])
def test_an_image_drawn_twice_is_there_twice(each, times):
    drawn = [each[place] for place, count in enumerate(times) for _ in range(count)]
    assert Resampled(each).ap50(np.array(times)) == pytest.approx(together(drawn).ap50())


def test_nobody_drawn_is_no_figure(each):
    assert np.isnan(Resampled(each).ap50(np.array([6, 0, 0, 0, 0, 0])))


def test_the_interval_is_around_the_figure_and_the_same_each_time(each):
    low, high = ap50_interval(each)
    assert low < together(each).ap50() < high
    assert ap50_interval(each) == (low, high)
    narrow = ap50_interval(each * 9)
    assert narrow[1] - narrow[0] < (high - low) / 2
    # Of 100 images half are found; the standard deviation of the share is 0.05.
    sure = [image([0.9], [True], 1)] * 50 + [image([], [], 1)] * 50
    low, high = ap50_interval(sure)
    assert (low, high) == (pytest.approx(0.4, abs=0.03), pytest.approx(0.6, abs=0.03))


def test_one_image_with_persons_has_no_interval(each):
    assert ap50_interval(each[:2]) is None
    assert ap50_interval([image([], [], 0)] * 3) is None
