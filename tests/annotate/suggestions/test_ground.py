import math
from dataclasses import astuple

import numpy as np
import pytest

from annotate.records import Detection
from annotate.suggestions.ground import Ground, leads_to


def shift(x, y, scale=1.0):
    return np.array([[scale, 0, x], [0, scale, y]], np.float32)


def standing(frame, x, y, height=34.0):
    return Detection(frame, 0, frame / 10, (x - 5, y - height, x + 5, y), 0.9)


def test_who_stands_still_under_a_moving_camera_stays_in_place():
    ground = Ground({0: shift(0, 0), 1: shift(-7, 2), 2: shift(-7, 2)})
    first, last = ground.place(standing(0, 100, 200)), ground.place(standing(2, 86, 204))
    assert (last.x, last.y) == pytest.approx((first.x, first.y))
    assert first.metres_to(last) == pytest.approx(0, abs=1e-4)


def test_metres_by_the_height_of_a_person():
    ground = Ground({0: shift(0, 0)})
    # 34 px are 1.7 m: 100 px are 5 m.
    assert ground.place(standing(0, 0, 50)).metres_to(ground.place(standing(0, 100, 50))) == pytest.approx(5.0)


def test_a_camera_that_rises_changes_no_metres():
    ground = Ground({0: shift(0, 0), 1: shift(0, 0, scale=0.5)})
    low = ground.place(standing(0, 100, 100))
    high = ground.place(standing(1, 100, 50, height=17))  # walked from x = 100 to x = 200 in the first picture
    assert low.metres_to(high) == pytest.approx(5.0)
    assert high.metre == pytest.approx(34 / 1.7)


def test_a_frame_whose_motion_is_missing_is_taken_as_the_one_before():
    ground = Ground({0: shift(0, 0), 1: shift(10, 0), 3: shift(10, 0)})
    assert ground.place(standing(2, 20, 50)).x == pytest.approx(10)


def test_with_a_known_altitude_the_person_is_no_yardstick():
    ground = Ground({0: shift(0, 0)}, lambda frame, row: 50.0 if row < 100 else None)
    # A metre is 50 px, whatever size the persons seem: 100 px are 2 m.
    assert ground.place(standing(0, 0, 50)).metres_to(ground.place(standing(0, 100, 50))) == pytest.approx(2.0)
    assert ground.place(standing(0, 0, 150)).metre == pytest.approx(20)  # nobody knows: a person again


def test_behind_a_cut_the_ground_is_another_and_nobody_walks_on():
    ground = Ground({frame: shift(0, 0) for frame in range(4)}, cuts={2})
    before, same, after = (ground.place(standing(frame, 0, 50)) for frame in (0, 1, 2))
    (leads,) = leads_to(np.array([astuple(before)]), np.array([astuple(same), astuple(after)]))
    assert leads[0] == pytest.approx(math.exp(-(same.time - before.time)))
    assert leads[1] == 0
