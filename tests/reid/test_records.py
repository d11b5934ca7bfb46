import numpy as np
import pytest

from reid.records import Samples


def numbers(*values):
    return np.array(values, np.int64)


def test_samples_check_themselves():
    good = Samples(numbers(1, 0, -1), numbers(0, 0, 1), numbers(-1, -1, -1))
    assert len(good) == 3
    with pytest.raises(ValueError, match=r"cameras must be int64 \(3,\), not int64 \(2,\)"):
        Samples(numbers(1, 2, 3), numbers(0, 0), numbers(1, 2, 3))
    with pytest.raises(ValueError, match="tracklets must be int64"):
        Samples(numbers(1), numbers(0), np.array([1.0]))
    with pytest.raises(ValueError, match="identity -2"):
        Samples(numbers(-2), numbers(0), numbers(0))
