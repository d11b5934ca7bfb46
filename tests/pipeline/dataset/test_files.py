import os

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotate.exchange.market import read_market
from pipeline.dataset.files import file_names, place_files
from pipeline.errors import PipelineError

PLACES = st.tuples(st.integers(-1, 20_000), st.integers(1, 40), st.integers(0, 2_000_000), st.integers(0, 499))


def named(rows):
    return file_names(pd.DataFrame(rows, columns=["identity", "camera", "frame", "rank"]))


def test_names_are_those_of_market_1501():
    assert named([(2, 1, 451, 3), (-1, 12, 0, 0), (0, 3, 1234567, 100)]) == [
        "0002_c1s1_000451_03.jpg",
        "-1_c12s1_000000_00.jpg",
        "0000_c3s1_1234567_100.jpg",
    ]


@given(st.lists(PLACES, unique=True, min_size=1))
def test_names_tell_apart_and_are_read_back(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("set")
    names = named(rows)
    (folder / "query").mkdir()
    for name in names:
        (folder / "query" / name).touch()
    found = {(crop.identity, crop.camera, crop.frame, crop.index) for crop in read_market(folder)}
    assert found == set(rows)


@pytest.fixture
def crops(tmp_path):
    (tmp_path / "f1").mkdir()
    for number in range(3):
        (tmp_path / "f1" / f"{number}.jpg").write_text(str(number))
    names = {"split": ["train", "query", "gallery"], "name": ["a.jpg", "b.jpg", "c.jpg"]}
    return pd.DataFrame(names | {"crop": [f"f1/{number}.jpg" for number in range(3)]})


def placed(crops, workspace, copies=False):
    (workspace / "set").mkdir()
    place_files(crops, workspace, workspace / "set", copies=copies)
    return {path.relative_to(workspace / "set").as_posix(): path for path in (workspace / "set").glob("*/*")}


def test_each_split_has_its_folder(crops, tmp_path):
    found = placed(crops, tmp_path)
    assert {name: path.read_text() for name, path in found.items()} == {
        "bounding_box_train/a.jpg": "0",
        "query/b.jpg": "1",
        "bounding_box_test/c.jpg": "2",
    }
    assert all(path.stat().st_nlink == 2 for path in found.values())


@pytest.mark.parametrize("links", [True, False])
def test_copies_where_asked_for_or_without_links(crops, tmp_path, monkeypatch, links):
    if not links:
        monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError("not here")))
    found = placed(crops, tmp_path, copies=links)
    assert all(path.stat().st_nlink == 1 for path in found.values())
    assert found["query/b.jpg"].read_text() == "1"


def test_a_crop_that_is_gone_is_named(crops, tmp_path):
    (tmp_path / "f1" / "1.jpg").unlink()
    with pytest.raises(PipelineError, match=r"f1/1\.jpg: the crop is missing; make it again"):
        placed(crops, tmp_path)


def test_nothing_outside_the_workspace_is_taken(crops, tmp_path):
    secret = tmp_path / "secret"
    (tmp_path / "f1" / "1.jpg").rename(secret)
    (tmp_path / "f1" / "1.jpg").symlink_to(secret)
    with pytest.raises(PipelineError, match=r"f1/1\.jpg: not a plain file"):
        placed(crops, tmp_path)


def test_no_folder_leads_out_of_the_workspace(crops, tmp_path):
    inner = tmp_path / "runs"
    inner.mkdir()
    (inner / "f1").symlink_to(tmp_path / "f1")
    with pytest.raises(PipelineError, match="f1: a link out of the workspace"):
        placed(crops, inner)
