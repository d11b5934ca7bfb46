"""Pseudo-labels: what detectors find in images that nobody annotated, as annotations to train another one on.

A detector errs, and training on its errors would teach them. So only what is sure becomes a person; what is in
doubt becomes a region to ignore, which is neither a person nor background. Different detectors err differently, and
a person lasts: what several find is surer, and in a video what is found in one frame and in none beside it is no
person.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.evaluation.matching import overlaps
from detector.records import Detections, as_xywh

_SAME = 0.5  # IoU from which boxes of two detectors are one person
_LASTS = 0.3  # IoU with a box in a frame nearby: person and camera have moved since


def joined(found: Sequence[Detections]) -> Detections:
    """What several detectors found in one image, as if one had.

    The surest box takes of each other detector the box that it overlaps most, by 0.5 or more, then so does the
    surest of those that are left. Their score is the mean of all detectors' scores, 0 for one that did not find
    it; their box is the mean, weighted by the scores.
    """
    if len(found) == 1:
        return found[0]
    boxes = np.concatenate([each.boxes for each in found])
    scores = np.concatenate([each.scores for each in found])
    finder = np.repeat(np.arange(len(found)), [len(each) for each in found])
    iou = overlaps(boxes, boxes, np.zeros(len(boxes), bool))
    free = np.ones(len(boxes), bool)
    groups: list[NDArray[np.intp]] = []
    for best in np.argsort(-scores, kind="stable"):
        if not free[best]:
            continue
        fits = np.where(free & (finder != finder[best]), iou[best], 0)
        others = [
            own[fits[own].argmax()]
            for own in map(np.flatnonzero, finder == np.arange(len(found))[:, None])
            if fits[own].max(initial=0) >= _SAME
        ]
        groups.append(np.array([best, *others]))
        free[groups[-1]] = False
    means = np.array([scores[group].sum() / len(found) for group in groups], np.float32)
    places = np.array([np.average(boxes[group], axis=0, weights=scores[group]) for group in groups], np.float32)
    order = np.argsort(-means, kind="stable")
    return Detections(places.reshape(-1, 4)[order], means[order])


def pseudo_labels(found: Detections, sure: float, lasting: NDArray[np.bool_] | None = None) -> list[dict[str, Any]]:
    """The annotations of an image, as rows of COCO's format without ids.

    Args:
        found: what the detectors found, down to the score from which something may be a person.
        sure: least score of a person; what has less is a region to ignore (`iscrowd`).
        lasting: bool (n,), of each box whether it lasts, as `lasts` says; None: unknown. Then what does not last
            is no person: a region to ignore where it is sure, else background.

    """
    is_sure = found.scores >= sure
    lasting = np.ones(len(found), bool) if lasting is None else lasting
    kept = is_sure | lasting
    persons = is_sure & lasting
    return [
        {"category_id": 1, "bbox": box, "iscrowd": int(not person)}
        for box, person in zip(as_xywh(found.boxes[kept]).round(2).tolist(), persons[kept].tolist(), strict=True)
    ]


def lasts(found: Detections, nearby: Iterable[Detections]) -> NDArray[np.bool_]:
    """Whether each box of `found` overlaps one that was found in any of the frames `nearby`: bool (n,).

    Frames are taken from `nearby` until all boxes are confirmed; without any, nothing is known and all last.
    """
    lasting = np.zeros(len(found), bool)
    looked = False
    for other in nearby if len(found) else ():
        looked = True
        lasting |= (overlaps(found.boxes, other.boxes, np.zeros(len(other), bool)) >= _LASTS).any(axis=1)
        if lasting.all():
            break
    return lasting if looked else ~lasting
