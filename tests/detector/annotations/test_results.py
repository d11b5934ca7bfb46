import json
from pathlib import Path

import numpy as np
import pytest

from detector.annotations.coco import AnnotatedImage
from detector.annotations.results import read_results, result_rows, write_results
from detector.errors import DetectorError
from detector.records import Detections

NONE = np.zeros((0, 4), np.float32)
IMAGES = [AnnotatedImage(Path(f"{n}.jpg"), None, NONE, NONE, image_id=n) for n in (7, 3)]


def detections(*rows):
    values = np.array(rows, np.float32).reshape(-1, 5)
    return Detections(values[:, :4], values[:, 4])


def row(**changes):
    return {"image_id": 7, "category_id": 1, "bbox": [1, 2, 3, 6], "score": 0.5} | changes


def test_rows_are_left_top_width_height():
    assert result_rows(7, detections([1, 2, 4, 8, 0.5])) == [row()]


def test_what_is_written_is_read(tmp_path):
    found = [detections([1, 2, 4.5, 8, 0.7], [0, 0, 9, 9, 0.1]), detections()]
    write_results(tmp_path / "found.json", IMAGES, found, category=4)
    again = read_results(tmp_path / "found.json", IMAGES, [4])
    for one, other in zip(found, again, strict=True):
        np.testing.assert_array_equal(one.boxes, other.boxes)
        np.testing.assert_array_equal(one.scores, other.scores)
    with pytest.raises(
        DetectorError, match="none of its 2 rows is of a person: 2 of category 4; persons are category 1"
    ):
        read_results(tmp_path / "found.json", IMAGES, [1])


def test_foreign_rows_come_in_any_order(tmp_path):
    path = tmp_path / "found.json"
    path.write_text(json.dumps([row(score=0.1), row(image_id=3), row(category_id=9), row(score=0.9)]))
    first, second = read_results(path, IMAGES, [1])
    assert first.scores.tolist() == pytest.approx([0.9, 0.1])
    assert second.boxes.tolist() == [[1, 2, 4, 8]]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("[", "not JSON"),
        ("{}", "a list of detections"),
        ("[3]", "row 1: 3; expected image_id"),
        (json.dumps([row(), {"image_id": 7}]), "row 2: .*expected image_id, category_id, bbox and score"),
        (json.dumps([row(bbox=[1, 2, 3])]), r"row 1 has bbox \[1, 2, 3\]; expected \[left, top"),
        (json.dumps([row(bbox=[1, 2, -3, 4])]), "no negative sides"),
        (json.dumps([row(score="high")]), "row 1: score high"),
        (json.dumps([row(score=float("nan"))]), "row 1: score nan"),
        (json.dumps([row(image_id=[7])]), "expected ids"),
        (json.dumps([row(image_id=8)]), "row 1 is of image 8, which the annotations do not list"),
    ],
)
def test_what_is_wrong_is_named_by_row(tmp_path, content, expected):
    path = tmp_path / "found.json"
    path.write_text(content)
    with pytest.raises(DetectorError, match=expected) as caught:
        read_results(path, IMAGES, [1])
    assert str(path) in str(caught.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(DetectorError, match="cannot be read"):
        read_results(tmp_path / "none.json", IMAGES, [1])
