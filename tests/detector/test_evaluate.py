import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from detector.config import DataSource
from detector.evaluate import coco_ap, evaluate, result_rows
from detector.records import Detections

SAMPLES = os.environ.get("UAVPIPE_SAMPLE_DATA")


def truth(*boxes, crowd=()):
    rows = [
        {
            "id": n,
            "image_id": 1,
            "category_id": 1,
            "bbox": list(box),
            "area": box[2] * box[3],
            "iscrowd": int(n in crowd),
        }
        for n, box in enumerate(boxes, start=1)
    ]
    return {
        "images": [{"id": 1, "width": 1000, "height": 1000}],
        "annotations": rows,
        "categories": [{"id": 1, "name": "person"}],
    }


def row(box, score):
    return {"image_id": 1, "category_id": 1, "bbox": list(box), "score": score}


GRID = [(x * 30, y * 40, 10, 20) for x in range(20) for y in range(15)]


def test_300_perfect_detections_in_one_image_are_all_counted():
    figures = coco_ap(truth(*GRID), [row(box, 0.9) for box in GRID])
    assert figures["AP"] == pytest.approx(1.0)


def test_a_cap_below_the_number_of_persons_costs_recall():
    figures = coco_ap(truth(*GRID), [row(box, 0.9) for box in GRID], max_detections=150)
    # 51 of the 101 recall points (0, .01, … .50) are reached, at precision 1.
    assert figures["AP"] == pytest.approx(51 / 101)


def test_by_hand_one_right_one_wrong_one_missed():
    figures = coco_ap(
        truth((0, 0, 10, 20), (500, 500, 10, 20)), [row((0, 0, 10, 20), 0.9), row((90, 90, 9, 9), 0.95)]
    )
    # Ranked wrong, right: precision 1/2 up to recall 1/2, that is at 51 of 101 points.
    assert figures["AP50"] == pytest.approx(0.5 * 51 / 101)


def test_a_box_on_a_crowd_is_no_mistake():
    people = truth((0, 0, 10, 20), (100, 100, 200, 200), crowd={2})
    assert coco_ap(people, [row((0, 0, 10, 20), 0.5), row((120, 120, 20, 40), 0.9)])["AP"] == pytest.approx(1.0)


def test_no_detections_is_zero():
    assert coco_ap(truth((0, 0, 10, 20)), [])["AP"] == 0


def test_rows_are_xywh():
    found = Detections(np.array([[1, 2, 4, 8]], np.float32), np.array([0.5], np.float32))
    assert result_rows(7, found) == [{"image_id": 7, "category_id": 1, "bbox": [1, 2, 3, 6], "score": 0.5}]


def test_equal_to_pycocotools():
    pytest.importorskip("pycocotools")
    from contextlib import redirect_stdout
    from io import StringIO

    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    rng = np.random.default_rng(3)
    people = truth(
        *[tuple(map(float, box)) for box in np.c_[rng.uniform(0, 900, (40, 2)), rng.uniform(8, 60, (40, 2))]]
    )
    found = [
        row(
            np.array(rng.choice(people["annotations"])["bbox"]) + rng.normal(0, 3, 4).clip(-6, 6),
            float(rng.random()),
        )
        for _ in range(80)
    ]
    with redirect_stdout(StringIO()):
        reference = COCO()
        reference.dataset = people
        reference.createIndex()
        evaluation = COCOeval(reference, reference.loadRes([dict(one) for one in found]), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    ours = coco_ap(people, found, max_detections=100)
    expected = evaluation.stats[:6]
    np.testing.assert_allclose(list(ours.values())[:5], expected[:5], atol=1e-4)


class _Oracle:
    """Knows the answer by the picture's first pixel, and checks how it is asked."""

    batch_size, workers = 2, 2

    def __init__(self, answers):
        self.answers = answers

    def preprocess(self, image):
        return int(image[0, 0, 0])

    def predict(self, batch):
        assert 1 <= len(batch) <= 2
        boxes = [np.array([self.answers[key]], np.float32) for key in batch]
        return [Detections(box, np.ones(1, np.float32)) for box in boxes]


def test_each_image_meets_its_own_detections(tmp_path):
    rows, answers = [], {}
    for number in range(5):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((60, 80, 3), number * 10, np.uint8))
        answers[number * 10] = (number, number, number + 20, number + 40)
        rows.append({"id": number, "image_id": number, "category_id": 3, "bbox": [number, number, 20, 40]})
    images = [{"id": number, "file_name": f"{number}.png"} for number in range(5)]
    categories = [{"id": 3, "name": "person"}, {"id": 4, "name": "car"}]
    path = tmp_path / "coco.json"
    path.write_text(json.dumps({"images": images, "annotations": rows, "categories": categories}))
    source, counted = DataSource(annotations=path, images=tmp_path), []
    assert evaluate(_Oracle(answers), source, counted.append)["AP"] == pytest.approx(1.0)
    assert sum(counted) == 5
    shuffled = dict(zip(answers, list(answers.values())[::-1], strict=True))
    assert evaluate(_Oracle(shuffled), source)["AP"] < 1.0


@pytest.mark.skipif(not SAMPLES, reason="UAVPIPE_SAMPLE_DATA is not set")
def test_equal_to_the_printout_published_with_coco():
    folder = Path(SAMPLES) / "eval" / "coco_val2014_100"
    people = json.loads((folder / "instances_val2014_100.json").read_text())
    found = json.loads((folder / "instances_val2014_fakebbox100_results.json").read_text())
    figures = coco_ap(people, found, max_detections=100)
    assert [round(figures[name], 3) for name in ("AP", "AP50", "AP75")] == [0.505, 0.697, 0.573]
