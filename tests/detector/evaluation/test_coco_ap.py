import json
import os
import re
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import pytest

from detector.annotations.coco import AnnotatedImage
from detector.evaluation.coco_ap import coco_ap, person_ap, persons_by_size
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
    assert figures["AP"] == figures["AR500"] == pytest.approx(1.0)
    assert figures["AR100"] == pytest.approx(100 / 300)


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


def test_no_detections_is_zero_and_no_persons_is_unknown():
    figures = coco_ap(truth((0, 0, 10, 20)), [])
    assert (figures["AP"], figures["AR500"], figures["AP_large"]) == (0, 0, -1)
    assert coco_ap(truth(), [])["AP"] == -1


def pycocotools(people, found):
    """The twelve figures at a cap of 100, by the original."""
    coco, cocoeval = pytest.importorskip("pycocotools.coco"), pytest.importorskip("pycocotools.cocoeval")
    with redirect_stdout(StringIO()):
        reference = coco.COCO()
        reference.dataset = people
        reference.createIndex()
        evaluation = cocoeval.COCOeval(reference, reference.loadRes([dict(one) for one in found]), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats


def random_data(images, categories):
    """Persons and detections near them, some missed, some double, 140 in an image; small, medium and large."""
    rng = np.random.default_rng(3)
    people, found = {"images": [], "annotations": [], "categories": []}, []
    people["categories"] = [{"id": number, "name": str(number)} for number in range(1, categories + 1)]
    for image in range(1, images + 1):
        people["images"].append({"id": image, "width": 2000, "height": 2000})
        boxes = np.c_[rng.uniform(0, 1800, (60, 2)), np.exp(rng.uniform(2, 5.2, (60, 2)))]
        kinds = rng.integers(1, categories + 1, 60)
        for box, kind in zip(boxes.tolist(), kinds.tolist(), strict=True):
            row = {"image_id": image, "category_id": kind, "bbox": box, "area": box[2] * box[3] * 0.7}
            crowd = int(rng.random() < 0.1)
            people["annotations"].append({"id": len(people["annotations"]) + 1, "iscrowd": crowd, **row})
        for source in rng.integers(0, 60, 140):
            box = boxes[source] * rng.normal(1, 0.06, 4)
            kind, score = int(kinds[source]), float(rng.random())
            found.append({"image_id": image, "category_id": kind, "bbox": box.tolist(), "score": score})
    return people, found


@pytest.mark.parametrize(("images", "categories"), [(1, 1), (4, 1), (3, 2)])
def test_the_twelve_figures_are_pycocotools(images, categories):
    people, found = random_data(images, categories)
    ours = coco_ap(people, found, max_detections=100)
    assert len(ours) == 12
    np.testing.assert_allclose(list(ours.values()), pycocotools(people, found), atol=1e-4)


@pytest.mark.skipif(not SAMPLES, reason="UAVPIPE_SAMPLE_DATA is not set")
def test_equal_to_the_printout_published_with_coco():
    folder = Path(SAMPLES) / "eval" / "coco_val2014_100"
    people = json.loads((folder / "instances_val2014_100.json").read_text())
    found = json.loads((folder / "instances_val2014_fakebbox100_results.json").read_text())
    ours = coco_ap(people, found, max_detections=100)
    printout = (folder / "val2014_fake_eval_res.txt").read_text().partition("type=bbox")[2].partition("type=")[0]
    expected = [float(value) for value in re.findall(r"= (\d\.\d{3})$", printout, re.MULTILINE)]
    assert [round(value, 3) for value in ours.values()] == expected
    np.testing.assert_allclose(list(ours.values()), pycocotools(people, found), atol=1e-4)


def images_of(people):
    """Those of `random_data` as `detector.annotations.coco` reads them."""

    def xyxy(rows):
        boxes = np.array([row["bbox"] for row in rows], np.float32).reshape(-1, 4)
        return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)

    for image in people["images"]:
        rows = [row for row in people["annotations"] if row["image_id"] == image["id"]]
        persons = [row for row in rows if not row["iscrowd"]]
        yield AnnotatedImage(
            Path("x.jpg"),
            (2000, 2000),
            xyxy(persons),
            xyxy([row for row in rows if row["iscrowd"]]),
            annotated_areas=np.array([row["area"] for row in persons], np.float32),
        )


def test_persons_are_measured_as_their_annotations_are():
    people, rows = random_data(4, 1)
    images, found = list(images_of(people)), []
    for image in people["images"]:
        values = np.array(
            [[*row["bbox"], row["score"]] for row in rows if row["image_id"] == image["id"]], np.float32
        )
        values = values[np.argsort(-values[:, 4])]
        found.append(Detections(np.c_[values[:, :2], values[:, :2] + values[:, 2:4]], values[:, 4]))
    expected = coco_ap(people, rows)
    assert person_ap(images, found) == pytest.approx(expected, abs=1e-4)
    areas = np.array([row["area"] for row in people["annotations"] if not row["iscrowd"]])
    counts = persons_by_size(images)
    assert counts["small"] == (areas < 32**2).sum()
    assert counts["large"] == (areas >= 96**2).sum()
    assert sum(counts.values()) == len(areas)
