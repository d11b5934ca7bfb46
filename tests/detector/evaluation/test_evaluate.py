import json
import os
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from detector.annotations.coco import AnnotatedImage, read_annotations
from detector.annotations.conversion import write_coco
from detector.annotations.visdrone import read_visdrone
from detector.config import DataSource
from detector.errors import DetectorError
from detector.evaluation.evaluate import detect, evaluate, measure
from detector.records import Detections

SAMPLES = os.environ.get("UAVPIPE_SAMPLE_DATA")
NONE = np.zeros((0, 4), np.float32)


class _Oracle:
    """Knows the answer by the picture's first pixel, and checks how it is asked."""

    batch_size, workers, runtime = 2, 2, "oracle"

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
    source = DataSource(annotations=path, images=tmp_path)
    figures = evaluate(_Oracle(answers), source)
    assert figures["AP"] == figures["visdrone_AP"] == pytest.approx(1.0)
    shuffled = dict(zip(answers, list(answers.values())[::-1], strict=True))
    figures = evaluate(_Oracle(shuffled), source)
    assert max(figures["AP"], figures["visdrone_AP"]) < 1.0


def test_the_next_images_are_read_while_a_batch_is_judged(tmp_path):
    read = [threading.Event() for _ in range(6)]

    class Slow:
        batch_size, workers, runtime = 1, 1, "slow"

        def preprocess(self, image):
            read[image[0, 0, 0]].set()
            return image[0, 0, 0]

        def predict(self, batch):
            assert read[min(batch[0] + 1, 5)].wait(60)
            return [Detections.empty()] * len(batch)

    for number in range(6):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((20, 20, 3), number, np.uint8))
    images = [AnnotatedImage(tmp_path / f"{number}.png", None, NONE, NONE) for number in range(6)]
    assert len(detect(Slow(), images)) == 6


def perfect(image, *, more=NONE):
    boxes = np.concatenate([more, image.boxes])
    return Detections(boxes, np.full(len(boxes), 0.9, np.float32))


def test_all_figures_go_into_the_file():
    person = np.array([[10, 10, 20, 40]], np.float32)
    image = AnnotatedImage(Path("x.jpg"), (100, 100), person, NONE)
    content = json.loads(measure([image], [perfect(image)]).as_json())
    assert (content["images"], content["detections"]) == (1, 1)
    assert content["coco"]["AP"] == content["visdrone"]["AP"] == pytest.approx(1)
    assert content["coco"]["AP_large"] is None
    assert content["intervals"] == {}
    assert json.loads(measure([image] * 2, [perfect(image)] * 2).as_json())["intervals"] == {
        "AP50": pytest.approx([1, 1])
    }
    assert content["persons_by_size"] == {"small": 1, "medium": 0, "large": 0}
    part = content["by_height"]["20–35 px"]
    assert (part["persons"], part["AP50"]) == (1, pytest.approx(1))
    assert part["thresholds"][2] == {"threshold": 0.8, "recall": 1, "precision": 1, "false_per_image": 0}
    assert content["by_height"]["≥60 px"]["AP50"] is None


def test_nothing_found_and_nobody_there():
    empty = AnnotatedImage(Path("x.jpg"), (100, 100), NONE, NONE)
    report = measure([empty], [perfect(empty)])
    assert report.coco["AP"] == report.visdrone["AP"] == -1
    assert json.loads(report.as_json())["by_height"]["all"]["thresholds"][0]["false_per_image"] == 0


def test_a_size_that_nobody_knows(tmp_path):
    image = AnnotatedImage(tmp_path / "x.jpg", None, NONE, NONE)
    with pytest.raises(DetectorError, match=r"x\.jpg: cannot be read: .*the annotations lack width and height"):
        measure([image], [perfect(image)])


@pytest.mark.skipif(not SAMPLES, reason="UAVPIPE_SAMPLE_DATA is not set")
def test_real_annotations_found_to_the_last_are_perfect_by_both_rules(tmp_path):
    root = Path(SAMPLES) / "detection" / "visdrone_raw5"
    conversion = read_visdrone(root)
    write_coco(tmp_path / "coco.json", conversion.images, conversion.categories)
    images = read_annotations(tmp_path / "coco.json", root)
    assert sum(len(image.regions) for image in images) == 32
    on_regions = [perfect(image, more=image.regions) for image in images]
    report = measure(images, on_regions)
    assert report.coco["AP"] == report.visdrone["AP"] == pytest.approx(1)
    assert report.parts["all"].ap50() == pytest.approx(1)
