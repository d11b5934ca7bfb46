"""COCO's average precision, by faster-coco-eval."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

import numpy as np

from detector.backend import PersonDetector
from detector.coco import read_coco
from detector.config import DataSource
from detector.images import read_image
from detector.records import Detections

MAX_DETECTIONS = 500  # VisDrone's cap: drone images hold hundreds of persons
_NAMES = ("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large")


def coco_ap(
    ground_truth: dict[str, Any],
    detections: Sequence[dict[str, Any]],
    *,
    max_detections: int = MAX_DETECTIONS,
) -> dict[str, float]:
    """COCO's AP of `detections` (rows of COCO's result format) against `ground_truth` (COCO's annotations).

    Returns:
        AP (IoU .50:.05:.95), AP50, AP75, and AP by size of the object (small < 32², medium < 96² pixels of
        area); -1 where the ground truth has no such object, 0 without detections.

    """
    from faster_coco_eval import COCO, COCOeval_faster

    if not detections:
        return dict.fromkeys(_NAMES, 0.0)
    with redirect_stdout(StringIO()):  # the library talks while it works
        truth = COCO(ground_truth)
        evaluation = COCOeval_faster(truth, truth.loadRes(list(detections)), "bbox", print_function=lambda *_: None)
        evaluation.params.maxDets = [1, 100, max_detections]
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"]  # IoU x recall x class x area x cap
    ious = evaluation.params.iouThrs

    def mean(area: int, iou: float | None = None) -> float:
        values = precision[:, :, :, area, 2] if iou is None else precision[np.isclose(ious, iou), :, :, area, 2]
        values = values[values > -1]
        return float(values.mean()) if values.size else -1.0

    return dict(zip(_NAMES, (mean(0), mean(0, 0.5), mean(0, 0.75), mean(1), mean(2), mean(3)), strict=True))


def result_rows(image_id: int, detections: Detections) -> list[dict[str, Any]]:
    """`detections` of image `image_id` as rows of COCO's result format, category 1."""
    return [
        {
            "image_id": image_id,
            "category_id": 1,
            "bbox": [float(x1), float(y1), float(x2 - x1), float(y2 - y1)],
            "score": float(score),
        }
        for (x1, y1, x2, y2), score in zip(detections.boxes, detections.scores, strict=True)
    ]


def evaluate(
    predictor: PersonDetector, source: DataSource, advance: Callable[[int], None] = lambda count: None
) -> dict[str, float]:
    """COCO AP of `predictor` on the persons of `source`, at most 500 detections an image.

    Raises:
        DetectorError: the data cannot be read.

    """
    images = read_coco(source)
    truth: dict[str, Any] = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "person"}]}
    rows: list[dict[str, Any]] = []
    step = predictor.batch_size

    def detect(first: int) -> tuple[list[tuple[int, int]], list[Detections]]:
        pixels = [read_image(annotated.path) for annotated in images[first : first + step]]
        found = predictor.predict([predictor.preprocess(image) for image in pixels])
        return [image.shape[:2] for image in pixels], found

    # In threads of its own even if there is but one: a predictor sets torch's threads for who calls it, and
    # a training that is being validated must not go on with fewer.
    with ThreadPoolExecutor(predictor.workers) as pool:
        starts = range(0, len(images), step)
        for first, (sizes, found) in zip(starts, pool.map(detect, starts), strict=True):
            for number, ((height, width), detections) in enumerate(zip(sizes, found, strict=True), start=first):
                truth["images"].append({"id": number + 1, "height": height, "width": width})
                rows += result_rows(number + 1, detections)
            advance(len(sizes))
    for number, annotated in enumerate(images, start=1):
        for boxes, crowd in ((annotated.boxes, 0), (annotated.ignored, 1)):
            for x1, y1, x2, y2 in boxes.tolist():
                truth["annotations"].append(
                    {
                        "id": len(truth["annotations"]) + 1,
                        "image_id": number,
                        "category_id": 1,
                        "bbox": [x1, y1, x2 - x1, y2 - y1],
                        "area": (x2 - x1) * (y2 - y1),
                        "iscrowd": crowd,
                    }
                )
    return coco_ap(truth, rows)
