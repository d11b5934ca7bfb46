import numpy as np
import pytest

from reid.errors import ReidError
from reid.evaluation.features import read_features


def test_features_are_mapped_or_become_float32(tmp_path):
    for dtype in (np.float16, np.float32, np.float64):
        np.save(tmp_path / "f.npy", np.arange(6, dtype=dtype).reshape(3, 2))
        features = read_features(tmp_path / "f.npy")
        assert features.dtype == np.float32
        np.testing.assert_array_equal(features, [[0, 1], [2, 3], [4, 5]])


def test_whatever_else_is_refused_and_runs_nothing(tmp_path):
    path = tmp_path / "f.npy"
    with pytest.raises(ReidError, match="no such file"):
        read_features(path)
    for values in (np.arange(3.0), np.ones((2, 2), np.int64), np.ones((2, 2, 2)), np.array([[object()]])):
        np.save(path, values, allow_pickle=True)
        with pytest.raises(ReidError, match=r"f\.npy: (expected one matrix|not a \.npy file)"):
            read_features(path)
    np.savez(tmp_path / "f.npz", a=np.ones((2, 2)))
    for name, content in (
        ("f.npy", b""),
        ("f.npy", b"\x93NUMPY\x01\x00"),
        ("f.npy", (tmp_path / "f.npz").read_bytes()),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ReidError):
            read_features(path)
