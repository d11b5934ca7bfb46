"""Pseudo-labels: what detectors find in images that nobody annotated, as annotations to train another one on.

A detector errs, and training on its errors would teach them. So only what is sure becomes a person; what is in
doubt becomes a region to ignore, which is neither a person nor background. A person lasts, so that in a video
what is found in one frame and in none beside it is no person.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.evaluation.matching import overlaps
from detector.records import Detections, as_xywh

_SAME = 0.5  # IoU from which boxes of two detectors are one person
_LASTS = 0.3  # IoU with a box in a frame nearby: person and camera have moved since


def pseudo_labels(
    found: Detections,
    sure: float,
    second: Detections | None = None,
    lasting: NDArray[np.bool_] | None = None,
) -> list[dict[str, Any]]:
    """The annotations of an image, as rows of COCO's format without ids.

    Args:
        found: what the detector found, down to the score from which something may be a person.
        sure: least score of a person; what has less is a region to ignore (`iscrowd`).
        second: what another detector found. Then only what both found is a person, and what it alone found is
            a region to ignore.
        lasting: bool (n,), of each box whether it lasts, as `lasts` says; None: unknown. Then what does not last
            is no person: a region to ignore where it is sure or where both found it, else background.

    """
    is_sure = found.scores >= sure
    lasting = np.ones(len(found), bool) if lasting is None else lasting
    persons, kept = is_sure & lasting, is_sure | lasting
    boxes = found.boxes
    if second is not None:
        same = overlaps(found.boxes, second.boxes, np.zeros(len(second), bool)) >= _SAME
        persons &= same.any(axis=1)
        kept |= same.any(axis=1)
        alone = ~same.any(axis=0)
        boxes = np.concatenate([boxes, second.boxes[alone]])
        more = np.ones(np.count_nonzero(alone), bool)
        persons, kept = np.append(persons, ~more), np.append(kept, more)
    return [
        {"category_id": 1, "bbox": box, "iscrowd": int(not person)}
        for box, person in zip(as_xywh(boxes[kept]).round(2).tolist(), persons[kept].tolist(), strict=True)
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
