import numpy as np
import pytest

from reid.errors import ReidError
from reid.evaluation.search import nearest


def test_the_nearest_come_first_and_equals_in_their_order():
    gallery = np.array([[3, 4], [0, 1], [5, 0], [0, 0]], np.float32)
    rows, distances = nearest(np.zeros((1, 2), np.float32), gallery, 4)
    assert rows.tolist() == [3, 1, 0, 2]
    assert distances.tolist() == [0, 1, 5, 5]
    assert len(nearest(np.zeros((1, 2), np.float32), gallery, 2)[0]) == 2
    rows, distances = nearest(np.array([[9, 0]], np.float32), gallery[:3], 3, metric="cosine")
    assert rows.tolist() == [2, 0, 1]
    assert distances == pytest.approx([0, 0.4, 1])
    with pytest.raises(ReidError, match="features of 2 numbers in a, of 3 in b"):
        nearest(np.zeros((1, 2), np.float32), np.zeros((4, 3), np.float32), 1, ("a", "b"))
