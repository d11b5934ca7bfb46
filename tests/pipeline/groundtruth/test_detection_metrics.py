import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from detector.records import Detections
from pipeline.boxes import iou
from pipeline.groundtruth.detection_metrics import match, score
from pipeline.groundtruth.read import Truth, inside


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


def one_by_one(truth, found, min_iou):
    """The rules, step by step: a hidden person excuses one box, a region any number; of equal overlaps the last."""
    overlaps = iou(found.boxes, truth.boxes)
    right, counted = np.zeros(len(found), bool), ~inside(found.boxes, truth.regions)
    free = set(range(len(truth.boxes)))
    for place, row in enumerate(overlaps):
        able = [person for person in free if row[person] >= min_iou]
        if able:
            chosen = max(able, key=lambda person: (row[person] + truth.evaluated[person], person))
            free.remove(chosen)
            right[place] = counted[place] = truth.evaluated[chosen]
    return right, counted


def some_boxes(count):
    corners = arrays(np.int64, (count, 2), elements=st.integers(0, 12))
    return corners.map(lambda low: np.concatenate([low, low + 10], axis=1).astype(float))


@settings(deadline=None)
@given(st.data(), st.integers(0, 6), st.integers(0, 6), st.integers(0, 2), st.sampled_from([0.3, 0.5, 0.8]))
def test_equal_to_a_loop(data, persons, detections, regions, min_iou):
    truth = Truth(
        data.draw(some_boxes(persons)),
        data.draw(arrays(bool, persons)),
        np.arange(persons),
        data.draw(some_boxes(regions)),
    )
    boxes = data.draw(some_boxes(detections)).astype(np.float32)
    found = Detections(boxes, np.linspace(1, 0.1, detections, dtype=np.float32))
    for given_, expected in zip(match(truth, found, min_iou), one_by_one(truth, found, min_iou), strict=True):
        np.testing.assert_array_equal(given_, expected)
