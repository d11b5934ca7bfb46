import cv2
import numpy as np
import pytest

from reid.datasets.cuhk03 import read_single_shot
from reid.datasets.cuhk03_mat import extract
from reid.errors import ReidError

h5py = pytest.importorskip("h5py", reason="h5py is an optional extra")


def store(file, rows):
    """MATLAB's cell array: references to arrays that are stored apart, all axes reversed."""
    cells = np.empty((len(rows), len(rows[0])), h5py.ref_dtype)
    for row, arrays in enumerate(rows):
        for column, array in enumerate(arrays):
            name = f"#refs#/{len(file.get('#refs#', ()))}"
            cells[row, column] = file.create_dataset(name, data=array.T, dtype=array.dtype).ref
    return cells


@pytest.fixture
def mat(tmp_path):
    path = tmp_path / "cuhk-03.mat"
    empty = np.array([0, 0], np.uint64)
    with h5py.File(path, "w") as file:
        for kind in ("labeled", "detected"):
            pairs = []
            for pair in range(2):
                rows = []
                for person in range(2):
                    red = np.zeros((6, 4, 3), np.uint8)
                    red[..., 0] = 100 + 10 * pair + person
                    rows.append([red if number in (0, 5) else empty for number in range(10)])
                pairs.append(store(file, rows))
            file.create_dataset(kind, data=store(file, [[pair] for pair in pairs]).T, dtype=h5py.ref_dtype)
        tests = [np.array([[1.0, 2.0]]), np.array([[2.0, 1.0]])]
        file.create_dataset("testsets", data=store(file, [[test] for test in tests]).T, dtype=h5py.ref_dtype)
    return path


def test_images_and_splits_come_out(mat, tmp_path):
    out = tmp_path / "out"
    assert extract(mat, out) == 16
    names = sorted(path.name for path in (out / "images_labeled").iterdir())
    people = ("1_001", "1_002", "2_001", "2_002")
    assert names == [f"{person}_{image}.png" for person in people for image in ("1_01", "2_06")]
    picture = cv2.imread(str(out / "images_labeled" / "2_001_2_06.png"))
    assert picture.shape == (6, 4, 3)
    assert (picture == (0, 0, 110)).all()  # BGR
    parts = read_single_shot(out, "labeled")
    assert [label.path.name for label in parts.query] == ["1_002_1_01.png"]
    assert [label.path.name for label in parts.gallery] == ["1_002_2_06.png"]
    assert len(parts.train) == 6


def test_what_is_no_cuhk03_is_refused(mat, tmp_path):
    with pytest.raises(ReidError, match="no such file; expected CUHK03's"):
        extract(tmp_path / "none.mat", tmp_path / "a")
    (tmp_path / "b.mat").write_bytes(b"MATLAB 5.0")
    with pytest.raises(ReidError, match=r"b\.mat: not CUHK03's"):
        extract(tmp_path / "b.mat", tmp_path / "b")
    with h5py.File(tmp_path / "c.mat", "w") as file:
        file["testsets"] = h5py.ExternalLink(str(mat), "testsets")
    with pytest.raises(ReidError, match="'testsets' is missing, or not in the file itself"):
        extract(tmp_path / "c.mat", tmp_path / "c")
    (tmp_path / "secret").write_bytes(b"12345678" * 4)
    with h5py.File(tmp_path / "d.mat", "w") as file:
        file.create_dataset("testsets", (1, 4), np.int64, external=[(str(tmp_path / "secret"), 0, 32)])
    with pytest.raises(ReidError, match="is stored in another file"):
        extract(tmp_path / "d.mat", tmp_path / "d")
