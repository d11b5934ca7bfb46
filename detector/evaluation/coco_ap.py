"""COCO's average precision and recall by faster-coco-eval (pycocotools gives -1 beyond 100 detections)."""

from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.annotations.coco import AnnotatedImage
from detector.annotations.results import result_rows
from detector.records import Detections, as_xywh

MAX_DETECTIONS = 500  # VisDrone's cap: drone images hold hundreds of persons
SIZES = ("small", "medium", "large")
_SIZE_LIMITS = (32**2, 96**2)  # px² of area
_AREAS = ("all", *SIZES)
_CAPS = (1, 10, 100)


def coco_ap(
    ground_truth: Mapping[str, Any],
    detections: Sequence[dict[str, Any]],
    *,
    max_detections: int = MAX_DETECTIONS,
) -> dict[str, float]:
    """COCO's figures for `detections` (rows of COCO's result format) against `ground_truth` (COCO's annotations).

    Returns:
        AP (mean over IoU .50:.05:.95 and categories), AP50, AP75, AP_small, AP_medium, AP_large (< 32², < 96² px
        of area); AR1, AR10, AR100 and, beyond 100, AR with `max_detections`: the recall at that many detections
        per image; AR_small, AR_medium, AR_large with `max_detections`. At a cap of 100 these are the twelve
        figures of COCO's printout. -1 where the ground truth has no such object.

    """
    from faster_coco_eval import COCO, COCOeval_faster

    caps = sorted({cap for cap in _CAPS if cap < max_detections} | {max_detections})
    with redirect_stdout(StringIO()):  # the library prints its progress
        truth = COCO(ground_truth)
        evaluation = COCOeval_faster(truth, truth.loadRes(list(detections)), "bbox", print_function=lambda *_: None)
        evaluation.params.maxDets = caps
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"][..., -1]  # IoU x recall x category x area
    recall = evaluation.eval["recall"]  # IoU x category x area x cap
    ious = evaluation.params.iouThrs
    figures = {"AP": _mean(precision[..., 0])}
    figures |= {f"AP{100 * iou:.0f}": _mean(precision[np.isclose(ious, iou), ..., 0]) for iou in (0.5, 0.75)}
    figures |= {f"AP_{name}": _mean(precision[..., _AREAS.index(name)]) for name in SIZES}
    figures |= {f"AR{cap}": _mean(recall[:, :, 0, place]) for place, cap in enumerate(caps)}
    return figures | {f"AR_{name}": _mean(recall[:, :, _AREAS.index(name), -1]) for name in SIZES}


def _mean(values: NDArray[np.float64]) -> float:
    known = values[values > -1]
    return float(known.mean()) if known.size else -1.0


def persons_by_size(images: Sequence[AnnotatedImage]) -> dict[str, int]:
    """The number of small, medium and large persons by COCO's areas."""
    sizes = np.digitize(np.concatenate([image.areas for image in images]), _SIZE_LIMITS)
    return dict(zip(SIZES, np.bincount(sizes, minlength=len(SIZES)).tolist(), strict=True))


def person_ap(
    images: Sequence[AnnotatedImage], found: Sequence[Detections], *, max_detections: int = MAX_DETECTIONS
) -> dict[str, float]:
    """As `coco_ap`, for the persons of `images` and what was `found` in each; everything to ignore is a crowd."""
    truth: dict[str, Any] = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "person"}]}
    rows: list[dict[str, Any]] = []
    for number, (image, detections) in enumerate(zip(images, found, strict=True), start=1):
        truth["images"].append({"id": number})
        rows += result_rows(number, detections)
        boxes = as_xywh(np.concatenate([image.boxes, image.ignored]).astype(np.float64)).tolist()
        areas = [*image.areas.tolist(), *[0.0] * len(image.ignored)]  # a crowd's area is not used
        for place, (box, area) in enumerate(zip(boxes, areas, strict=True)):
            truth["annotations"].append(
                {
                    "id": len(truth["annotations"]) + 1,
                    "image_id": number,
                    "category_id": 1,
                    "bbox": box,
                    "area": area,
                    "iscrowd": int(place >= len(image.boxes)),
                }
            )
    return coco_ap(truth, rows, max_detections=max_detections)
