import pytest

from annotate.records import Detection
from annotate.suggestions.likeness import likeness


def detections(*scores_and_heights):
    return [Detection(n, 0, 0.0, (0, 0, 9, high), score) for n, (score, high) in enumerate(scores_and_heights)]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ([(0.9, 60)], 0.9),
        ([(0.9, 16)], 0.45),  # half as tall as can be told
        ([(0.9, 60), (0.2, 60), (0.8, 60)], 0.8),  # the median
        ([(0.5, 60), (0.7, 16)], 0.6),  # both medians: 0.6, and 38 px
    ],
)
def test_the_score_less_where_boxes_are_low(content, expected):
    assert likeness(detections(*content)) == pytest.approx(expected)
