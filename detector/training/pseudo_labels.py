"""Pseudo-labels: what detectors find in images that nobody annotated, as annotations to train another one on.

A detector errs, and training on its errors would teach them. So only what is sure becomes a person; what is in
doubt becomes a region to ignore, which is neither a person nor background.
"""

from typing import Any

import numpy as np

from detector.evaluation.matching import overlaps
from detector.records import Detections, as_xywh

_SAME = 0.5  # IoU from which boxes of two detectors are one person


def pseudo_labels(found: Detections, sure: float, second: Detections | None = None) -> list[dict[str, Any]]:
    """The annotations of an image, as rows of COCO's format without ids.

    Args:
        found: what the detector found, down to the score from which something may be a person.
        sure: least score of a person; what has less is a region to ignore (`iscrowd`).
        second: what another detector found. Then only what both found is a person, and what it alone found is
            a region to ignore.

    """
    persons = found.scores >= sure
    boxes = found.boxes
    if second is not None:
        same = overlaps(found.boxes, second.boxes, np.zeros(len(second), bool)) >= _SAME
        persons &= same.any(axis=1)
        alone = ~same.any(axis=0)
        boxes = np.concatenate([boxes, second.boxes[alone]])
        persons = np.concatenate([persons, np.zeros(np.count_nonzero(alone), bool)])
    return [
        {"category_id": 1, "bbox": box, "iscrowd": int(not person)}
        for box, person in zip(as_xywh(boxes).round(2).tolist(), persons.tolist(), strict=True)
    ]
