"""What becomes a person to train on, and what is ignored."""

import numpy as np
import pytest

from detector.records import Detections
from detector.training.pseudo_labels import joined, lasts, pseudo_labels


def found(*rows):
    """Detections of rows (left, top, width, height, score), the best first."""
    boxes = np.array([[x, y, x + w, y + h] for x, y, w, h, _ in rows], np.float32).reshape(-1, 4)
    return Detections(boxes, np.array([row[4] for row in rows], np.float32))


def test_what_is_sure_is_a_person_and_what_is_in_doubt_is_ignored():
    rows = pseudo_labels(found((10, 20, 8, 24, 0.9), (50, 20, 8, 24, 0.5), (90, 20, 8, 24, 0.2)), 0.5)
    assert [row["iscrowd"] for row in rows] == [0, 0, 1]
    assert rows[0] == {"category_id": 1, "bbox": [10, 20, 8, 24], "iscrowd": 0}
    assert pseudo_labels(Detections.empty(), 0.5) == []


def test_of_several_detectors_the_mean_counts():
    first = found((10, 20, 8, 24, 0.9), (50, 20, 8, 24, 0.8), (90, 20, 8, 24, 0.3))
    # IoU with the first one: 8 x 20 of 8 x 28, 0.71; with the next one: 8 x 8 of 8 x 40, 0.2.
    second = found((200, 20, 8, 24, 0.95), (10, 24, 8, 24, 0.3), (50, 36, 8, 24, 0.1))
    both = joined([first, second])
    assert both.scores == pytest.approx([0.6, 0.475, 0.4, 0.15, 0.05])
    assert both.boxes[0] == pytest.approx([10, 21, 18, 45])  # 20 and 24, as 0.9 to 0.3
    assert both.boxes[1:, :2].tolist() == [[200, 20], [50, 20], [90, 20], [50, 36]]
    assert joined([first]).scores.tolist() == first.scores.tolist()
    assert joined([first, Detections.empty()]).scores == pytest.approx(first.scores / 2)
    assert len(joined([Detections.empty()] * 2)) == 0


def test_a_box_joins_one_of_each_other_detector_and_none_of_its_own():
    crowded = found((10, 20, 8, 24, 0.8), (13, 20, 8, 24, 0.6))  # IoU 5/11
    one = found((12, 20, 8, 24, 0.9))  # IoU 6/10 with the first, 7/9 with the second
    assert joined([crowded, one]).scores == pytest.approx([0.75, 0.4])
    assert joined([crowded, one, one]).scores == pytest.approx([0.8, 0.8 / 3])
    # What overlaps a better box of its own detector by 0.5 stays a box of its own.
    assert len(joined([found((10, 20, 8, 24, 0.8), (11, 20, 8, 24, 0.6)), Detections.empty()])) == 2


def test_a_flicker_is_ignored_where_it_is_sure_and_background_where_it_is_not():
    rows = found((10, 20, 8, 24, 0.9), (50, 20, 8, 24, 0.8), (90, 20, 8, 24, 0.3), (130, 20, 8, 24, 0.2))
    lasting = np.array([True, False, True, False])
    labels = pseudo_labels(rows, 0.5, lasting=lasting)
    assert [(row["bbox"][0], row["iscrowd"]) for row in labels] == [(10, 0), (50, 1), (90, 1)]


def test_what_is_found_nearby_lasts_and_no_more_frames_are_looked_at_than_needed():
    # IoU of a person that moved by 3 of its 8 px: 5/11; by 5 px: 3/13.
    first = found((10, 20, 8, 24, 0.9), (50, 20, 8, 24, 0.8))
    after, before = found((55, 20, 8, 24, 0.9), (13, 20, 8, 24, 0.2)), found((47, 20, 8, 24, 0.2))
    assert lasts(first, [after]).tolist() == [True, False]
    assert lasts(first, [after, before]).tolist() == [True, True]
    assert lasts(first, iter([after, before, None])).tolist() == [True, True]
    assert lasts(first, [Detections.empty()]).tolist() == [False, False]
    assert lasts(first, []).tolist() == [True, True]
    assert lasts(Detections.empty(), [after]).tolist() == []
