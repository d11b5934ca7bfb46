"""Detections in COCO's result format, a JSON list of rows: stored once, evaluated often."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from detector.annotations.coco import AnnotatedImage, read_bbox, read_number
from detector.errors import DetectorError
from detector.files import read_regular
from detector.records import Detections, as_xywh


def result_rows(image_id: int | str, detections: Detections, category: int = 1) -> list[dict[str, Any]]:
    """`detections` of image `image_id` as rows of COCO's result format: left, top, width, height; best first."""
    return [
        {"image_id": image_id, "category_id": category, "bbox": box, "score": score}
        for box, score in zip(as_xywh(detections.boxes).tolist(), detections.scores.tolist(), strict=True)
    ]


def write_results(path: Path, images: Sequence[AnnotatedImage], found: Sequence[Detections], category: int) -> None:
    """Write the detections of each of `images` to `path`."""
    pairs = zip(images, found, strict=True)
    rows = [row for image, each in pairs for row in result_rows(image.image_id, each, category)]
    path.write_text(json.dumps(rows, separators=(",", ":")) + "\n", "utf-8")


def read_results(path: Path, images: Sequence[AnnotatedImage], categories: Sequence[int]) -> list[Detections]:
    """The detections of each of `images` in `path`, rows of other categories left out; best first.

    Raises:
        DetectorError: not COCO's result format, an image that is not among `images`, or a bad row; names the row.

    """
    try:
        content = json.loads(read_regular(path))
    except OSError as error:
        raise DetectorError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise DetectorError(f"{path}: not JSON ({error}); expected a list of detections") from None
    if not isinstance(content, list):
        raise DetectorError(f"{path}: expected COCO's result format, a list of detections")
    rows: dict[Any, list[list[float]]] = {image.image_id: [] for image in images}
    for number, row in enumerate(content, start=1):
        image_id, category, values = _parse(row, f"{path}: row {number}")
        if category not in categories:
            continue
        if image_id not in rows:
            raise DetectorError(
                f"{path}: row {number} is of image {image_id}, which the annotations do not list; "
                "detections and annotations must be of the same data set"
            )
        rows[image_id].append(values)
    return [_detections(rows[image.image_id]) for image in images]


def _parse(row: Any, place: str) -> tuple[int | str, int, list[float]]:
    """Image, category, and x1, y1, x2, y2, score."""
    if not isinstance(row, dict) or not {"image_id", "category_id", "bbox", "score"} <= row.keys():
        raise DetectorError(f"{place}: {str(row)[:60]}; expected image_id, category_id, bbox and score")
    left, top, width, height = read_bbox(row, place)
    image_id, category, score = row["image_id"], row["category_id"], row["score"]
    if not isinstance(image_id, int | str) or not isinstance(category, int):
        raise DetectorError(
            f"{place}: image_id {str(image_id)[:20]}, category_id {str(category)[:20]}; expected ids"
        )
    if not np.isfinite(read_number(score)) or width < 0 or height < 0:
        raise DetectorError(
            f"{place}: score {str(score)[:20]}, width {width:g}, height {height:g}; expected a number and no "
            "negative sides"
        )
    return image_id, category, [left, top, left + width, top + height, float(score)]


def _detections(rows: list[list[float]]) -> Detections:
    values = np.array(rows, np.float32).reshape(-1, 5)
    values = values[np.argsort(-values[:, 4], kind="stable")]
    return Detections(values[:, :4], values[:, 4])
