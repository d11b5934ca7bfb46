"""What becomes a person to train on, and what is ignored."""

import numpy as np

from detector.records import Detections
from detector.training.pseudo_labels import lasts, pseudo_labels


def found(*rows):
    """Detections of rows (left, top, width, height, score), the best first."""
    boxes = np.array([[x, y, x + w, y + h] for x, y, w, h, _ in rows], np.float32).reshape(-1, 4)
    return Detections(boxes, np.array([row[4] for row in rows], np.float32))


def test_what_is_sure_is_a_person_and_what_is_in_doubt_is_ignored():
    rows = pseudo_labels(found((10, 20, 8, 24, 0.9), (50, 20, 8, 24, 0.5), (90, 20, 8, 24, 0.2)), 0.5)
    assert [row["iscrowd"] for row in rows] == [0, 0, 1]
    assert rows[0] == {"category_id": 1, "bbox": [10, 20, 8, 24], "iscrowd": 0}
    assert pseudo_labels(Detections.empty(), 0.5) == []


def test_a_second_detector_must_agree_and_what_it_alone_finds_is_ignored():
    first = found((10, 20, 8, 24, 0.9), (50, 20, 8, 24, 0.8), (90, 20, 8, 24, 0.2))
    # IoU with the first one: 8 x 20 of 8 x 28, 0.71; with the next one: 8 x 8 of 8 x 40, 0.2.
    second = found((200, 20, 8, 24, 0.95), (10, 24, 8, 24, 0.3), (50, 36, 8, 24, 0.3))
    rows = pseudo_labels(first, 0.5, second)
    assert [(row["bbox"][0], row["bbox"][1], row["iscrowd"]) for row in rows] == [
        (10, 20, 0),
        (50, 20, 1),
        (90, 20, 1),
        (200, 20, 1),
        (50, 36, 1),
    ]
    assert [row["iscrowd"] for row in pseudo_labels(first, 0.5, Detections.empty())] == [1, 1, 1]
    assert [row["iscrowd"] for row in pseudo_labels(Detections.empty(), 0.5, second)] == [1, 1, 1]


def test_a_flicker_is_ignored_where_it_is_sure_and_background_where_it_is_not():
    rows = found((10, 20, 8, 24, 0.9), (50, 20, 8, 24, 0.8), (90, 20, 8, 24, 0.3), (130, 20, 8, 24, 0.2))
    lasting = np.array([True, False, True, False])
    labels = pseudo_labels(rows, 0.5, lasting=lasting)
    assert [(row["bbox"][0], row["iscrowd"]) for row in labels] == [(10, 0), (50, 1), (90, 1)]
    # What a second detector found there too is nothing to train as background.
    labels = pseudo_labels(rows, 0.5, found((130, 20, 8, 24, 0.3), (200, 20, 8, 24, 0.3)), lasting)
    assert [(row["bbox"][0], row["iscrowd"]) for row in labels] == [(10, 1), (50, 1), (90, 1), (130, 1), (200, 1)]


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
