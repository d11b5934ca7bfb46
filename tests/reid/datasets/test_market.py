import pandas as pd
import pytest

from reid.datasets.load import load
from reid.errors import ReidError


@pytest.fixture
def tree(tmp_path):
    for folder, name in (("query", "0002_c1s1_1_1.jpg"), ("bounding_box_test", "0002_c12s3_1_1.jpg")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_bytes(b"")
    return tmp_path


def test_a_tree_has_three_parts(tree):
    data = load(str(tree))
    assert (len(data.train), data.query.cameras.tolist(), data.gallery.cameras.tolist()) == (0, [1], [12])
    assert data.gallery.paths == (tree / "bounding_box_test" / "0002_c12s3_1_1.jpg",)
    flights = load(str(tree), "flight")
    assert [flights.query.cameras.tolist(), flights.gallery.cameras.tolist()] == [[1], [0]]  # "c12s3" < "c1s1"
    (tree / "bounding_box_train").mkdir()
    assert len(load(str(tree)).train) == 0
    (tree / "query" / "0002_c1s1_1_1.jpg").unlink()
    with pytest.raises(ReidError, match="query: no images"):
        load(str(tree))
    with pytest.raises(ReidError, match="query: no data set; expected images in its folders"):
        load(str(tree / "query"))


def test_the_table_of_a_data_set_of_ours_tells_flights_and_tracklets(tree):
    names = ["0002_c1s1_1_1.jpg", "0002_c12s3_1_1.jpg", "gone.jpg"]
    rows = {"name": names, "flight": ["a", "a", "b"], "tracklet": ["a/1", None, "b/2"], "more": [1, 2, 3]}
    pd.DataFrame(rows).to_parquet(tree / "dataset.parquet")
    data = load(str(tree), "flight")
    assert [data.query.cameras.tolist(), data.gallery.cameras.tolist()] == [[0], [0]]
    assert [data.query.tracklets.tolist(), data.gallery.tracklets.tolist()] == [[0], [-1]]
    (tree / "query" / "0003_c1s1_1_1.jpg").write_bytes(b"")
    with pytest.raises(ReidError, match=r"0003_c1s1_1_1\.jpg: not in dataset\.parquet"):
        load(str(tree))
    pd.DataFrame({"name": names}).to_parquet(tree / "dataset.parquet")
    with pytest.raises(ReidError, match=r"dataset\.parquet: expected a table with name, flight, tracklet"):
        load(str(tree))
    (tree / "dataset.parquet").write_bytes(b"PAR1")
    with pytest.raises(ReidError, match=r"dataset\.parquet: expected a table with name, flight, tracklet"):
        load(str(tree))
