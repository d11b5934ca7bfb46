import numpy as np
import pytest

from detector.records import Detections

BOXES, SCORES = np.zeros((2, 4), np.float32), np.array([0.9, 0.4], np.float32)


def test_above_keeps_the_threshold_itself():
    assert len(Detections(BOXES, SCORES).above(np.float32(0.4))) == 2
    assert len(Detections(BOXES, SCORES).above(0.5)) == 1


@pytest.mark.parametrize(
    ("boxes", "scores"),
    [
        (BOXES.astype(np.float64), SCORES),
        (BOXES[:, :3], SCORES),
        (BOXES, SCORES[:1]),
        (BOXES, SCORES[::-1]),
        (BOXES, SCORES.astype(np.float64)),
    ],
)
def test_a_wrong_record_cannot_be_made(boxes, scores):
    with pytest.raises(ValueError, match=r"must|highest"):
        Detections(boxes, scores)
