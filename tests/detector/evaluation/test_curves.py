import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from detector.annotations.coco import AnnotatedImage
from detector.evaluation.coco_ap import person_ap
from detector.evaluation.curves import (
    OperatingPoint,
    by_altitude,
    by_height,
    judge,
    judge_each,
    write_csv,
)
from detector.records import Detections


def array(rows):
    return np.array(rows, np.float32).reshape(-1, 4)


def truth(persons, regions=()):
    return AnnotatedImage(Path("x.jpg"), (1000, 1000), array(persons), array(regions))


def found(boxes, scores):
    return Detections(array(boxes), np.array(scores, np.float32))


CHILD, ADULT, GIANT = (0, 0, 6, 10), (100, 0, 115, 30), (200, 0, 250, 100)
AWAY = (600, 600, 610, 615)


@pytest.fixture
def judged():
    one = truth([CHILD, ADULT, GIANT], regions=[(400, 400, 500, 500)])
    boxes = [ADULT, (410, 410, 430, 450), AWAY, GIANT, ADULT]
    return judge([one, truth([])], [found(boxes, [0.9, 0.85, 0.8, 0.5, 0.2]), found([], [])], 500)


def test_by_hand(judged):
    # On the region: neither. Wrong: who is nobody, and the adult's second.
    assert judged.right.tolist() == [True, False, True, False]
    assert judged.points() == [
        OperatingPoint(0.3, recall=2 / 3, precision=2 / 3, false_per_image=1 / 2),
        OperatingPoint(0.5, recall=2 / 3, precision=2 / 3, false_per_image=1 / 2),
        OperatingPoint(0.8, recall=1 / 3, precision=1 / 2, false_per_image=1 / 2),
    ]


def test_by_height_each_belongs_to_one_part(judged):
    parts = by_height(judged)
    assert list(parts) == ["<12 px", "12–20 px", "20–35 px", "35–60 px", "≥60 px"]
    assert [len(part.person_heights) for part in parts.values()] == [1, 0, 1, 0, 1]
    assert [len(part.scores) for part in parts.values()] == [0, 1, 2, 0, 1]
    # A small person found by nobody; nobody of 15 px, but a wrong detection; right, then wrong; a right one.
    assert [part.ap50() for part in parts.values()] == [0, None, 1, None, 1]
    assert parts["12–20 px"].at(0.3) == OperatingPoint(0.3, None, 0, 1 / 2)


def test_by_altitude_each_image_belongs_to_one_part():
    images = [replace(truth([ADULT]), altitude=altitude) for altitude in (19.9, 20.0, None, 250.0, 25.0)]
    boxes = [
        found([ADULT], [0.9]),
        found([AWAY], [0.6]),
        found([AWAY], [0.9]),
        found([], []),
        found([ADULT], [0.4]),
    ]
    parts = by_altitude(images, judge_each(images, boxes, 500))
    assert list(parts) == ["10–20 m", "20–30 m", "≥120 m"]
    assert [part.images for part in parts.values()] == [1, 2, 1]
    assert [part.at(0.3).recall for part in parts.values()] == [1, 1 / 2, 0]
    assert parts["20–30 m"].at(0.5) == OperatingPoint(0.5, 0, 0, 1 / 2)


def test_a_right_detection_has_its_persons_height():
    judged = judge([truth([(0, 0, 10, 21)])], [found([(0, 0, 10, 19)], [0.9])], 500)
    assert by_height(judged)["20–35 px"].at(0.5).recall == 1


def test_the_curve(judged):
    curve = judged.curve()
    # Recall 1/3 at precision 1, 2/3 at 2/3; the third person is never found.
    assert curve.precision[[0, 33, 34, 66, 67, 100]] == pytest.approx([1, 1, 2 / 3, 2 / 3, 0, 0])
    assert curve.score[[0, 33, 34, 66]] == pytest.approx([0.9, 0.9, 0.5, 0.5])
    assert np.isnan(curve.score[67:]).all()


def random_data():
    rng = np.random.default_rng(5)
    for _ in range(6):
        corners, sides = rng.uniform(0, 800, (40, 2)), np.exp(rng.uniform(2, 4.5, (40, 2)))
        boxes = np.c_[corners, corners + sides]
        moved = boxes[rng.integers(0, 40, 90)] + rng.normal(0, 3, (90, 4))
        moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
        scores = np.sort(np.round(rng.random(90), 2))[::-1]
        yield truth(boxes[6:], regions=boxes[:6]), found(moved, scores)


@pytest.mark.parametrize("cap", [30, 500])
def test_ap50_is_cocos(cap):
    images, detections = zip(*random_data(), strict=True)
    expected = person_ap(images, detections, max_detections=cap)["AP50"]
    assert judge(images, detections, cap).ap50() == pytest.approx(expected, abs=1e-6)


def test_the_parts_add_up():
    images, detections = zip(*random_data(), strict=True)
    judged = judge(images, detections, 500)
    parts = by_height(judged).values()
    assert sum(part.right.sum() for part in parts) == judged.right.sum()
    assert sum(len(part.scores) for part in parts) == len(judged.scores)
    assert sum(len(part.person_heights) for part in parts) == len(judged.person_heights)


def test_written(judged, tmp_path):
    parts = {"all": judged, **by_height(judged)}
    write_csv(tmp_path / "curves.csv", parts)
    rows = list(csv.DictReader((tmp_path / "curves.csv").open(encoding="utf-8")))
    assert len(rows) == 101 * 6
    assert rows[34] == {"height": "all", "recall": "0.34", "precision": "0.666667", "score": "0.500000"}
    assert rows[100]["score"] == ""
