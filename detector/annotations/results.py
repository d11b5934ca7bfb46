"""Detections in COCO's result format, a JSON list of rows: stored once, evaluated often."""

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from detector.annotations.account import Account
from detector.annotations.coco import AnnotatedImage
from detector.annotations.json_rows import key_of, look_up, read_bbox, read_json, read_number, shown
from detector.annotations.pictures import note_misfit
from detector.errors import DetectorError
from detector.records import Detections, as_xywh

_EXPECTED = "a list of detections in COCO's result format"


def result_rows(image_id: int | str, detections: Detections, category: int | str = 1) -> list[dict[str, Any]]:
    """`detections` of image `image_id` as rows of COCO's result format: left, top, width, height; best first."""
    return [
        {"image_id": image_id, "category_id": category, "bbox": box, "score": score}
        for box, score in zip(as_xywh(detections.boxes).tolist(), detections.scores.tolist(), strict=True)
    ]


def write_results(
    path: Path, images: Sequence[AnnotatedImage], found: Sequence[Detections], category: int | str
) -> None:
    """Write the detections of each of `images` to `path`."""
    pairs = zip(images, found, strict=True)
    rows = [row for image, each in pairs for row in result_rows(image.image_id, each, category)]
    path.write_text(json.dumps(rows, separators=(",", ":")) + "\n", "utf-8")


def read_results(
    path: Path,
    images: Sequence[AnnotatedImage],
    persons: Sequence[int | str],
    categories: Collection[int | str] = (),
    account: Account | None = None,
) -> list[Detections]:
    """The detections of each of `images` in `path`, rows of other categories left out; best first.

    Args:
        path: a JSON list of rows image_id, category_id, bbox and score.
        images: that the rows may be of.
        persons: ids of the categories that are persons.
        categories: ids of all categories of the annotations; a row of another one is noted.
        account: counts the rows.

    Raises:
        DetectorError: not COCO's result format, an image that is not among `images`, or a bad row (names it);
            no row is of a person.

    """
    account = Account("detections") if account is None else account
    content = read_json(path, _EXPECTED)
    if not isinstance(content, list):
        raise DetectorError(f"{path}: {shown(content)}; expected {_EXPECTED}")
    known = {str(key_of(each)): {"id": each} for each in (*persons, *categories)}
    listed = {str(key_of(image.image_id)): {"id": image.image_id} for image in images}
    sizes = {str(key_of(image.image_id)): image.size for image in images}
    wanted = {key_of(each) for each in persons}
    rows: dict[str, list[list[float]]] = {key: [] for key in listed}
    for number, row in enumerate(content, start=1):
        place = f"{path}: row {number}"
        box, score = read_row(row, place)
        account.read += 1
        category = look_up(row, "category_id", known, account)
        if category not in wanted:
            unlisted = "" if category or not categories else ", which the annotations do not list"
            account.left_out[f"of category {key_of(row['category_id'])}{unlisted}"] += 1
            continue
        image = look_up(row, "image_id", listed, account)
        if image is None:
            raise DetectorError(
                f"{place} is of image {shown(row['image_id'])}, which the annotations do not list; "
                "detections and annotations must be of the same data set"
            )
        note_misfit(box, sizes[image], account)
        rows[image].append([box[0], box[1], box[0] + box[2], box[1] + box[3], score])
    if content and not account.used:
        raise DetectorError(
            f"{path}: none of its {len(content)} rows is of a person: {account.reasons()}; "
            f"persons are category {' and '.join(map(str, persons))} in the annotations: write that category_id"
        )
    account.notes["images without a detection"] += sum(not found for found in rows.values())
    return [_detections(found) for found in rows.values()]


def read_row(row: Any, place: str) -> tuple[list[float], float]:
    """Box (left, top, width, height; px) and score of a row of COCO's result format; `place` names it in errors.

    Raises:
        DetectorError: a key is missing, or a value is not as the format has it.

    """
    if not isinstance(row, dict) or not {"image_id", "category_id", "bbox", "score"} <= row.keys():
        raise DetectorError(f"{place}: {shown(row)}; expected image_id, category_id, bbox and score")
    box, score = read_bbox(row, place), read_number(row["score"])
    if key_of(row["image_id"]) is None or key_of(row["category_id"]) is None:
        raise DetectorError(
            f"{place}: image_id {shown(row['image_id'])}, category_id {shown(row['category_id'])}; expected ids"
        )
    if not 0 <= score <= 1 or min(box[2:]) < 0:
        raise DetectorError(
            f"{place}: score {str(row['score'])[:20]}, width {box[2]:g}, height {box[3]:g}; expected a score from "
            "0 to 1, and no negative sides"
        )
    return box, score


def _detections(rows: list[list[float]]) -> Detections:
    values = np.array(rows, np.float32).reshape(-1, 5)
    values = values[np.argsort(-values[:, 4], kind="stable")]
    return Detections(values[:, :4], values[:, 4])
