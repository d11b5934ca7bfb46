import numpy as np

from detector.records import Detections
from pipeline.groundtruth.detection_metrics import match, score
from pipeline.groundtruth.read import Truth


def found(*rows):
    rows = np.array(rows, np.float32).reshape(-1, 5)
    return Detections(rows[:, :4], rows[:, 4])


def counts(people, boxes):
    """Right boxes and wrong ones."""
    right, counted = match(people, boxes, 0.5)
    return int(right.sum()), int((counted & ~right).sum())


def truth(*boxes, evaluated=None):
    return Truth(
        np.array(boxes, float).reshape(-1, 4),
        np.array(evaluated or [True] * len(boxes), bool),
        np.arange(len(boxes)),
    )


def test_each_person_is_found_once_and_the_second_box_on_him_is_wrong():
    boxes = found((0, 0, 10, 10, 0.9), (0, 0, 10, 9, 0.8), (50, 50, 60, 60, 0.7))
    assert counts(truth((0, 0, 10, 10)), boxes) == (1, 2)


def test_a_box_on_a_hidden_person_is_neither_right_nor_wrong():
    assert counts(truth((0, 0, 10, 10), evaluated=[False]), found((0, 0, 10, 10, 0.9))) == (0, 0)


def test_a_box_in_a_region_is_wrong_for_nobody_but_may_be_right():
    people = Truth(np.array([[0.0, 0, 10, 10]]), np.array([True]), np.array([1]), np.array([[0.0, 0, 100, 100]]))
    assert counts(people, found((0, 0, 10, 10, 0.9), (50, 50, 60, 60, 0.8))) == (1, 0)
    assert counts(people, found((94, 50, 104, 60, 0.9), (96, 50, 106, 60, 0.8))) == (0, 1)


def test_figures_by_hand():
    people = {0: truth((0, 0, 10, 10), (20, 0, 30, 10)), 2: truth((0, 0, 10, 10))}
    boxes = {
        0: found((0, 0, 10, 10, 0.9), (100, 0, 110, 10, 0.6)),
        1: found((0, 0, 10, 10, 0.95)),
        2: found((0, 0, 10, 10, 0.55)),
    }
    at_half, at_eighty = score(people, boxes, (0.5, 0.8), frames=4)
    assert (at_half.recall, at_half.precision, at_half.wrong_per_frame) == (2 / 3, 2 / 4, 2 / 4)
    assert (at_eighty.recall, at_eighty.precision, at_eighty.wrong_per_frame) == (1 / 3, 1 / 2, 1 / 4)
    assert at_half.persons == 3
