"""Detections in the forms of other tools."""

import numpy as np
import pandas as pd
import pytest

from uavpipe import Detections, UavpipeError

BOXES = np.array([[10, 20, 40, 80], [0, 0, 16, 32.5], [5, 5, 9, 25]], np.float32)
SCORES = np.array([0.9, 0.75, 0.25], np.float32)


@pytest.fixture
def found():
    return Detections(BOXES, SCORES, "flight01.mp4", 7, 0.28)


def test_choosing_some_keeps_where_they_are_from(found):
    some = found.above(0.5)[found.above(0.5).heights < 40]
    assert type(some) is Detections
    assert (some.source, some.frame, some.pts_s) == ("flight01.mp4", 7, 0.28)
    assert some.boxes.tolist() == [[0, 0, 16, 32.5]]


def test_pandas(found):
    rows = found.to_pandas()
    assert rows.columns.tolist() == ["source", "frame", "pts_s", "rank", "x1", "y1", "x2", "y2", "score"]
    assert rows[["frame", "rank"]].to_numpy().tolist() == [[7, 0], [7, 1], [7, 2]]
    assert rows[["x1", "y1", "x2", "y2"]].to_numpy().tolist() == BOXES.tolist()
    back = Detections.from_pandas(rows.sample(frac=1, random_state=1))
    assert (back.source, back.frame, back.pts_s) == ("flight01.mp4", 7, 0.28)
    assert back.boxes.tolist() == BOXES.tolist()
    assert back.scores.tolist() == SCORES.tolist()


def test_nobody_is_a_table_and_a_record_too():
    rows = Detections.empty().to_pandas()
    assert len(rows) == 0
    assert len(Detections.from_pandas(rows)) == len(Detections.from_coco([])) == 0
    assert Detections.empty().to_coco(1) == []


def test_cocos_results(found):
    rows = found.to_coco(image_id=3, category_id=2)
    assert rows[0] == {"image_id": 3, "category_id": 2, "bbox": [10, 20, 30, 60], "score": pytest.approx(0.9)}
    back = Detections.from_coco(rows[::-1])
    assert back.boxes.tolist() == BOXES.tolist()
    assert back.scores.tolist() == SCORES.tolist()


def test_supervision(found):
    supervision = pytest.importorskip("supervision", reason="supervision is not installed")
    other = found.to_supervision()
    assert isinstance(other, supervision.Detections)
    assert other.xyxy.tolist() == BOXES.tolist()
    assert other.confidence.tolist() == SCORES.tolist()
    assert other["class_name"].tolist() == ["person"] * 3
    assert len(other[other.confidence > 0.5]) == 2  # its own choosing takes what it was given
    back = Detections.from_supervision(other[np.array([2, 0, 1])])
    assert back.boxes.tolist() == BOXES.tolist()
    assert back.scores.tolist() == SCORES.tolist()
    assert len(Detections.from_supervision(supervision.Detections.empty())) == 0


def test_anything_with_supervisions_attributes():
    class Other:
        xyxy, confidence, class_id = BOXES.astype(float).tolist(), None, [0, 2, 0]

    found = Detections.from_supervision(Other, persons=[0])
    assert found.boxes.tolist() == BOXES[[0, 2]].tolist()
    assert found.scores.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Detections.from_pandas(pd.DataFrame({"x1": [1.0]})), "no column y1, x2, y2, score"),
        (
            lambda: Detections.from_pandas(
                pd.DataFrame({"frame": [1, 2], **dict.fromkeys(("x1", "y1", "x2", "y2", "score"), 0.5)})
            ),
            "rows of 2 values of frame",
        ),
        (
            lambda: Detections.from_coco([{"image_id": 1}]),
            "row 1: .*expected image_id, category_id, bbox and score",
        ),
        (
            lambda: Detections.from_coco(
                [{"image_id": n, "category_id": 1, "bbox": [1, 1, 2, 2], "score": 0.5} for n in (1, 2)]
            ),
            "rows of 2 images",
        ),
        (lambda: Detections.from_supervision(BOXES), "expected xyxy, confidence and class_id"),
        (lambda: Detections._of(BOXES, [0.5, 2, 0]), "a score is not from 0 to 1"),
        (lambda: Detections._of(BOXES * np.nan, SCORES), "finite"),
    ],
)
def test_a_users_mistakes_are_one_line(make, words):
    with pytest.raises(UavpipeError, match=words) as raised:
        make()
    assert "\n" not in str(raised.value)
