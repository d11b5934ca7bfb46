import cv2
import numpy as np
import pytest
from scipy.io import savemat

from reid.datasets.cuhk_sysu import cut_out
from reid.datasets.load import load
from reid.errors import ReidError


def cell(rows):
    """MATLAB's cell, (n, 1)."""
    column = np.empty((len(rows), 1), object)
    column[:, 0] = rows
    return column


def scene(number, x, y, width, height, **more):
    box = np.array([[x, y, width, height]], np.int32) if width else np.empty((0, 0))
    return {"imname": f"s{number}.jpg", "idlocate": box, "ishard": 0, **more}


@pytest.fixture
def archive(tmp_path):
    root = tmp_path / "dataset"
    images, tables = root / "Image" / "SSM", root / "annotation" / "test" / "train_test"
    images.mkdir(parents=True)
    tables.mkdir(parents=True)
    for number in (1, 2, 15533):
        picture = np.zeros((60, 80, 3), np.uint8)
        picture[10:40, 20:30] = (0, 0, 255)  # BGR
        cv2.imwrite(str(images / f"s{number}.jpg"), picture)
    persons = [
        {"idname": "p7", "nAppear": 2, "scene": [scene(1, 20, 10, 10, 30), scene(2, 0, 0, 9, 9)]},
        {"idname": "p9", "nAppear": 1, "scene": [scene(1, -2, 5, 8, 8)]},
    ]
    savemat(tables / "Train.mat", {"Train": cell(persons)})
    test = {
        "Query": scene(2, 20, 10, 10, 30, idname="p12"),
        "Gallery": [scene(15533, 70, 50, 20, 20), scene(1, 0, 0, 0, 0)],
    }
    savemat(tables / "TestG100.mat", {"TestG100": cell([test])})
    return root


def test_persons_are_cut_out_of_the_scenes(archive, tmp_path):
    out = tmp_path / "crops"
    assert cut_out(archive.parent, out) == 5
    files = sorted(path.relative_to(out).as_posix() for path in out.rglob("*.jpg"))
    assert files == [
        "bounding_box_test/00003_c15533s1_015533_00.jpg",
        "bounding_box_train/00001_c1s1_000001_00.jpg",
        "bounding_box_train/00001_c2s1_000002_00.jpg",
        "bounding_box_train/00002_c1s1_000001_01.jpg",
        "query/00003_c2s1_000002_01.jpg",
    ]
    sizes = [cv2.imread(str(out / file)).shape[:2] for file in files]
    assert sizes == [(10, 10), (30, 10), (9, 9), (8, 6), (30, 10)]  # height and width; cut at the picture's edge
    assert cv2.imread(str(out / files[1])).mean(axis=(0, 1)) == pytest.approx([0, 0, 255], abs=20)  # JPEG
    data = load(str(out))
    assert data.query.cameras.tolist() == [2]
    with pytest.raises(ReidError, match="2 identities in cuhk-sysu's train part"):
        load(f"cuhk-sysu:{out}")


@pytest.mark.parametrize(
    ("table", "content", "complaint"),
    [
        ("Train", {"Train": cell([{"idname": "p1", "scene": [scene(1, 90, 0, 9, 9)]}])}, "of p1 is outside"),
        ("Train", {"Train": cell([{"idname": "anna", "scene": [scene(1, 0, 0, 9, 9)]}])}, "'anna': expected p12"),
        (
            "Train",
            {"Train": cell([{"idname": "p1", "scene": [scene(3, 0, 0, 9, 9)]}])},
            "'s3.jpg' is not a file in",
        ),
        (
            "Train",
            {"Train": cell([{"idname": "p1", "scene": [scene(3, 0, 0, 9, 9) | {"imname": "../../s1.jpg"}]}])},
            "is not a file in",
        ),
        ("Train", {"Other": 1}, "Train.mat: not a list of persons"),
        ("TestG100", {"TestG100": cell([{"Query": 1}])}, "TestG100.mat: not a list of persons"),
    ],
)
def test_what_is_malformed_is_named(archive, tmp_path, table, content, complaint):
    savemat(archive / "annotation" / "test" / "train_test" / f"{table}.mat", content)
    with pytest.raises(ReidError, match=complaint):
        cut_out(archive, tmp_path / "crops")


def test_what_is_missing_is_named(archive, tmp_path):
    (archive / "annotation" / "test" / "train_test" / "TestG100.mat").unlink()
    with pytest.raises(ReidError, match=r"TestG100\.mat: no such file"):
        cut_out(archive, tmp_path / "crops")
    with pytest.raises(ReidError, match="not CUHK-SYSU; expected"):
        cut_out(archive / "Image", tmp_path / "crops")
