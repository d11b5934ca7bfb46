import os
from pathlib import Path

import pytest

from annotate.errors import AnnotateError
from annotate.exchange.market import read_market


def put(root, name, content=b"x"):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_names_say_who_and_where(tmp_path):
    put(tmp_path, "bounding_box_test/-1_c12s3_000451_03.jpg")
    put(tmp_path, "query/0102_c1s1_000001_00.jpg")
    put(tmp_path, "query/Thumbs.db")
    junk, person = read_market(tmp_path)
    assert (junk.identity, junk.camera, junk.sequence, junk.frame, junk.index) == (-1, 12, 3, 451, 3)
    assert (person.identity, person.flight) == (102, "c1s1")


def test_a_picture_in_query_and_gallery_counts_once(tmp_path):
    for folder in ("query", "bounding_box_test"):
        put(tmp_path, f"{folder}/0001_c1s1_000001_00.jpg")
    assert len(read_market(tmp_path)) == 1
    put(tmp_path, "query/0001_c1s1_000001_00.jpg", b"other")
    with pytest.raises(AnnotateError, match="another picture than"):
        read_market(tmp_path)


@pytest.mark.parametrize("name", ["0001.jpg", "0001_c1s1_1_00x.jpg", "-2_c1s1_000001_00.jpg", "0001_c1s1_١_00.jpg"])
def test_a_name_that_says_nothing_is_named(tmp_path, name):
    put(tmp_path, f"query/{name}")
    with pytest.raises(AnnotateError, match=r"expected a name as 0002_c1s1_000451_03\.jpg"):
        read_market(tmp_path)


def test_a_folder_without_pictures_is_named(tmp_path):
    with pytest.raises(AnnotateError, match="no pictures; expected them in bounding_box_train"):
        read_market(tmp_path)


def test_the_real_subset_has_the_numbers_its_authors_give():
    if "UAVPIPE_SAMPLE_DATA" not in os.environ:
        pytest.skip("UAVPIPE_SAMPLE_DATA names no folder of sample data")
    found = read_market(Path(os.environ["UAVPIPE_SAMPLE_DATA"], "reid", "market1501_subset"))
    assert len(found) == 6970 + 439 + 1273
    assert len({crop.identity for crop in found}) == 500
    assert {crop.camera for crop in found} == set(range(1, 7))


@pytest.mark.timeout(20)
def test_pipes_and_devices_are_refused_and_leftovers_passed_over(tmp_path):
    folder = tmp_path / "query"
    folder.mkdir()
    (folder / "0001_c1s1_000001_01.jpg").write_bytes(b"picture")
    for name in ("._0001_c1s1_000001_01.jpg", ".DS_Store", "Thumbs.db", "notes.txt"):
        (folder / name).write_text("stray")
    assert [crop.path.name for crop in read_market(tmp_path)] == ["0001_c1s1_000001_01.jpg"]
    (folder / "0002_c1s1_000001_01.jpg").symlink_to("/dev/zero")
    with pytest.raises(AnnotateError, match=r"0002_c1s1_000001_01\.jpg: not a regular file"):
        read_market(tmp_path)
    (folder / "0002_c1s1_000001_01.jpg").unlink()
    os.mkfifo(folder / "0003_c1s1_000001_01.jpg")
    with pytest.raises(AnnotateError, match=r"0003_c1s1_000001_01\.jpg: not a regular file"):
        read_market(tmp_path)
