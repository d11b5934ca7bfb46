import numpy as np
import pytest

from detector.records import Detections, areas, as_xywh, intersections, sides

BOXES, SCORES = np.zeros((2, 4), np.float32), np.array([0.9, 0.4], np.float32)


def test_above_keeps_the_threshold_itself():
    assert len(Detections(BOXES, SCORES).above(np.float32(0.4))) == 2
    assert len(Detections(BOXES, SCORES).above(0.5)) == 1


@pytest.mark.parametrize(
    ("boxes", "scores"),
    [
        (BOXES.astype(np.float64), SCORES),
        (BOXES[:, :3], SCORES),
        (BOXES, SCORES[:1]),
        (BOXES, SCORES[::-1]),
        (BOXES, SCORES.astype(np.float64)),
    ],
)
def test_a_wrong_record_cannot_be_made(boxes, scores):
    with pytest.raises(ValueError, match=r"must|highest"):
        Detections(boxes, scores)


def test_no_detections():
    assert len(Detections.empty()) == 0
    assert len(Detections.empty().above(0)) == 0
    assert Detections.empty().heights.shape == (0,)


@pytest.mark.parametrize(
    ("chosen", "scores"),
    [
        (slice(1), [0.9]),
        (np.array([False, True]), [0.4]),
        (np.array([1]), [0.4]),
        (np.array([], int), []),
        (np.array([0, 0, 1]), [0.9, 0.9, 0.4]),
    ],
)
def test_a_part_of_them(chosen, scores):
    boxes = np.arange(8, dtype=np.float32).reshape(2, 4)
    part = Detections(boxes, SCORES)[chosen]
    np.testing.assert_array_equal(part.scores, np.array(scores, np.float32))
    np.testing.assert_array_equal(part.boxes, boxes[chosen])


def test_a_part_keeps_the_highest_score_first():
    with pytest.raises(ValueError, match="highest first"):
        Detections(BOXES, SCORES)[np.array([1, 0])]


def test_heights():
    boxes = np.array([[0, 10, 5, 30], [1, 1, 2, 1.5]], np.float32)
    assert Detections(boxes, SCORES).heights.tolist() == [20, 0.5]


def test_boxes_by_hand():
    boxes = np.array([[0, 0, 4, 2], [1, 1, 3, 5]], np.float32)
    assert sides(boxes).tolist() == [[4, 2], [2, 4]]
    assert areas(boxes).tolist() == [8, 8]
    assert as_xywh(boxes).tolist() == [[0, 0, 4, 2], [1, 1, 2, 4]]
    assert intersections(boxes[:, None], boxes).tolist() == [[8, 2], [2, 8]]
    assert intersections(boxes, boxes + 4).tolist() == [0, 0]
