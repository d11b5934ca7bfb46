"""Small trees that follow the published layouts to the letter; only their numbers of images are not published."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from scipy.io import savemat

from reid.datasets import load as module
from reid.datasets.formats import FORMATS, Count
from reid.datasets.load import load
from reid.errors import ReidError
from reid.evaluation.leakage import check_identities


def make(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return root


@pytest.fixture
def any_number(monkeypatch):
    """The formats without their published counts."""
    monkeypatch.setattr(module, "FORMATS", {name: replace(kind, published={}) for name, kind in FORMATS.items()})


def rows(samples):
    return [
        (person, camera, path.name)
        for person, camera, path in zip(
            samples.identities.tolist(), samples.cameras.tolist(), samples.paths, strict=True
        )
    ]


MSMT17 = {
    "list_train.txt": "0000/0000_000_01_0303morning_0008_0.jpg 0\n0001/0001_000_14_0302noon_0100_1.jpg 1\n",
    "list_val.txt": "0000/0000_001_02_0303morning_0009_0_ex.jpg 0\n",
    "list_query.txt": "0000/0000_000_01_0303morning_0001_0.jpg 0\n",
    "list_gallery.txt": "0000/0000_001_15_0303afternoon_0001_0.jpg 0\r\n"
    "0000/0000_002_01_0303morning_0002_0.jpg 0\n",
}


def msmt17(root, learnt="train", tested="test"):
    for name, text in MSMT17.items():
        folder = learnt if name in ("list_train.txt", "list_val.txt") else tested
        make(root, *(f"{folder}/{line.split()[0]}" for line in text.splitlines()))
        (root / name).write_text(text, newline="")
    return root


@pytest.mark.parametrize("folders", [("train", "test"), ("mask_train_v2", "mask_test_v2")])
def test_msmt17_counts_training_and_test_persons_apart(tmp_path, any_number, folders):
    version = tmp_path / "MSMT17_V1"
    version.mkdir()
    msmt17(version, *folders)
    data = load(f"msmt17:{tmp_path}")
    assert rows(data.train) == [
        (1, 1, "0000_000_01_0303morning_0008_0.jpg"),
        (2, 14, "0001_000_14_0302noon_0100_1.jpg"),
        (1, 2, "0000_001_02_0303morning_0009_0_ex.jpg"),
    ]
    assert data.query.identities.tolist() == [3]
    assert data.gallery.cameras.tolist() == [15, 1]
    check_identities(data.train, data.query, data.gallery)
    assert data.query.tracklets[0] == data.gallery.tracklets[1] != data.gallery.tracklets[0]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("0000/0000_000_01_0303morning_0008_0.jpg", "line 2: '0000/0000_000_01_.*': expected a path and a person"),
        ("0000/0000.jpg 0", "line 2: .*expected a path and a person"),
        ("0000/9999_000_01_0303morning_0008_0.jpg 0", "line 2: .* is not a file in .*train"),
        ("../../0000_000_01_0303morning_0008_0.jpg 0", "line 2: .* is not a file in .*train"),
    ],
)
def test_a_bad_line_of_a_list_is_named(tmp_path, any_number, line, complaint):
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    msmt17(inner)
    make(tmp_path / "a", "0000_000_01_0303morning_0008_0.jpg")
    (inner / "list_train.txt").write_text(MSMT17["list_train.txt"].splitlines()[0] + f"\n{line}\n")
    with pytest.raises(ReidError, match=r"list_train\.txt " + complaint):
        load(f"msmt17:{inner}")


def test_ag_reid_looks_from_the_air_to_the_ground_or_back(tmp_path, any_number):
    make(
        tmp_path / "AG-ReID",
        "bounding_box_train/P0001T04041A0C0F31.jpg",
        "bounding_box_test_all_c0/P0000T02140A2C0F31.jpg",
        "bounding_box_test_all_c3/P0000T02140A0C3F691.jpg",
        "query_all_c0/P0000T02140A2C0F91.jpg",
        "query_all_c3/P0000T02140A0C3F751.jpg",
    )
    aerial, ground = load(f"ag-reid:{tmp_path}"), load(f"ag-reid-ground-to-aerial:{tmp_path}")
    assert rows(aerial.query) == [(1, 0, "P0000T02140A2C0F91.jpg")]
    assert rows(aerial.gallery) == [(1, 3, "P0000T02140A0C3F691.jpg")]
    assert rows(ground.query) == [(1, 3, "P0000T02140A0C3F751.jpg")]
    assert rows(ground.gallery) == [(1, 0, "P0000T02140A2C0F31.jpg")]
    assert rows(aerial.train) == rows(ground.train) == [(2, 0, "P0001T04041A0C0F31.jpg")]
    make(tmp_path / "AG-ReID", "query_all_c0/0002_c1s1_000451_03.jpg")
    with pytest.raises(ReidError, match="expected a name like P0006T02140A0C0F1831"):
        load(f"ag-reid:{tmp_path}")


def test_prai1581_counts_from_0_and_is_split_by_us(tmp_path, any_number):
    names = [
        f"images/{person:08}_{camera:04}_{n:08}.jpg" for person in range(4) for camera in (1, 2) for n in (1, 2)
    ]
    make(tmp_path, *names)
    data = load(f"prai1581:{tmp_path}")
    assert set(data.train.identities) | set(data.query.identities) == {1, 2, 3, 4}
    assert (len(data.train), len(data.query), len(data.gallery)) == (8, 4, 4)
    make(tmp_path, "images/a.jpg")
    with pytest.raises(ReidError, match=r"a\.jpg: expected a name like 00000003_0002_00000007"):
        load(f"prai1581:{tmp_path}")


CUHK03 = ["1_001_1_01.png", "1_001_2_06.png", "2_001_1_01.png", "2_001_2_06.png"]


def test_cuhk03s_new_protocol_from_its_configuration(tmp_path, any_number):
    make(tmp_path / "images_labeled", *CUHK03)
    table = tmp_path / "cuhk03_new_protocol_config_labeled.mat"
    content = {
        "filelist": np.array([[name] for name in CUHK03], object),
        "labels": np.array([[1], [1], [2], [2]], np.uint16),
        "train_idx": np.array([[1], [2]], np.uint16),
        "query_idx": np.array([[3]], np.uint16),
        "gallery_idx": np.array([[4]], np.uint16),
    }
    savemat(table, content)
    data = load(f"cuhk03-labeled:{tmp_path}")
    assert rows(data.train) == [(1, 1, CUHK03[0]), (1, 2, CUHK03[1])]
    assert rows(data.query) == [(2, 1, CUHK03[2])]
    assert rows(data.gallery) == [(2, 2, CUHK03[3])]
    savemat(table, content | {"query_idx": np.array([[5]])})
    with pytest.raises(ReidError, match="do not match its 4 files"):
        load(f"cuhk03-labeled:{tmp_path}")
    savemat(table, content | {"filelist": np.array([["../secret.png"]] * 4, object)})
    with pytest.raises(ReidError, match=r"'\.\./secret\.png': expected a name like 1_002_2_07\.png"):
        load(f"cuhk03-labeled:{tmp_path}")
    table.write_bytes(b"nothing")
    with pytest.raises(ReidError, match="not a configuration of CUHK03"):
        load(f"cuhk03-labeled:{tmp_path}")
    with pytest.raises(ReidError, match=r"config_detected\.mat: no such file"):
        load(f"cuhk03-detected:{tmp_path}")
    with pytest.raises(
        ReidError, match=r"lacks images_detected; expected cuhk03-detected-single-shot: .* from https://"
    ):
        load(f"cuhk03-detected-single-shot:{tmp_path}")


def test_cuhk03_np_has_market_1501s_folders(tmp_path, any_number):
    make(
        tmp_path / "cuhk03-np" / "detected",
        "bounding_box_train/0001_c1_21.png",
        "query/0002_c1_22.png",
        "bounding_box_test/0002_c2_23.png",
    )
    (tmp_path / "cuhk03-np" / "detected").rename(tmp_path / "detected")
    data = load(f"cuhk03-detected:{tmp_path}")
    assert rows(data.query) == [(2, 1, "0002_c1_22.png")]
    assert data.gallery.tracklets.tolist() == [-1]


def test_cuhk03s_first_classic_split(tmp_path, any_number):
    make(tmp_path / "images_detected", *CUHK03)
    table = tmp_path / "splits_classic_detected.json"
    elsewhere = [[f"/elsewhere/images_detected/{name}", 0, int(name[6]) - 1] for name in CUHK03]
    first = {"train": elsewhere[:2], "query": elsewhere[2:], "gallery": elsewhere[2:]}
    table.write_text(json.dumps([first, {}]))
    data = load(f"cuhk03-detected-single-shot:{tmp_path}")
    assert rows(data.train) == [(1001, 1, CUHK03[0]), (1001, 2, CUHK03[1])]
    assert rows(data.query) == [(2001, 1, CUHK03[2])]
    assert rows(data.gallery) == [(2001, 2, CUHK03[3])]
    for wrong in ("[]", "{}", "[[1]]", '[{"train": [[1]]}]', "[" * 100000, "\ufffe"):
        table.write_text(wrong)
        with pytest.raises(ReidError, match="not the splits of CUHK03"):
            load(f"cuhk03-detected-single-shot:{tmp_path}")


def test_a_csv_tells_parts_or_is_split(tmp_path):
    make(tmp_path, *(f"{n}.jpg" for n in range(4)))
    table = tmp_path / "crops.csv"
    table.write_text("path,identity,camera,split\n0.jpg,7,1,train\n1.jpg,8,1,query\n2.jpg,8,2,gallery\n")
    data = load(f"csv:{table}")
    assert [rows(part) for part in (data.train, data.query, data.gallery)] == [
        [(7, 1, "0.jpg")],
        [(8, 1, "1.jpg")],
        [(8, 2, "2.jpg")],
    ]
    table.write_text("path,identity,tracklet\n0.jpg,7,a\n1.jpg,7,a\n2.jpg,8,b\n3.jpg,8,c\n")
    data = load(f"csv:{table}")
    assert (len(data.train), len(data.query), len(data.gallery)) == (2, 1, 1)
    for text, complaint in (
        ("path,identity,split\n0.jpg,7,test\n", "line 2: split 'test': expected train, query, gallery, or nothing"),
        ("path,identity,split\n0.jpg,7,train\n1.jpg,8,\n", r"1\.jpg has no split"),
        ("path,identity\n../0.jpg,7\n", "line 2: '../0.jpg' is not a file in"),
        ("identity\n7\n", "expected a column 'path'"),
        ("path,camid,cam,identity\n0.jpg,1,1,7\n", "columns camid and cam both mean 'camera'"),
        ("path,identity\n", "no rows"),
        ("path,identity\n0.jpg,0\n", "no persons: all 1 crops are distractors or junk"),
    ):
        table.write_text(text)
        with pytest.raises(ReidError, match=complaint):
            load(f"csv:{table}")


def test_a_csv_with_the_names_of_other_tools(tmp_path, caplog):
    make(tmp_path, "0.jpg", "1.jpg")
    table = tmp_path / "crops.csv"
    table.write_text("img_path,pid,camid,split,blur\n0.jpg,7,3,query,x\n1.jpg,7,4,gallery,x\n")
    data = load(str(table))
    assert (rows(data.query), rows(data.gallery)) == ([(7, 3, "0.jpg")], [(7, 4, "1.jpg")])
    assert f"{table}: columns not used: blur; known ones: identity, camera" in caplog.text


def test_what_is_missing_is_named_with_where_to_get_it(tmp_path):
    (tmp_path / "Market-1501-v15.09.15" / "query").mkdir(parents=True)
    with pytest.raises(
        ReidError, match=r"v15\.09\.15: lacks bounding_box_train; expected market1501: .* from https://"
    ):
        load(f"market1501:{tmp_path}")
    unknown = f"foo:{tmp_path}: does not exist, and 'foo' is no format; expected one of market, csv, market1501,"
    with pytest.raises(ReidError, match=re.escape(unknown)):
        load(f"foo:{tmp_path}")
    with pytest.raises(ReidError, match="none: does not exist; expected msmt17: train/ and test/"):
        load(f"msmt17:{tmp_path / 'none'}")


def test_published_counts_are_checked(tmp_path, monkeypatch):
    tree = make(
        tmp_path / "duke",
        "bounding_box_train/0001_c2_f0046182.jpg",
        "query/0005_c2_f0046985.jpg",
        "bounding_box_test/0005_c1_f0051341.jpg",
    )
    with pytest.raises(ReidError, match=r"1 identities in dukemtmc's train part, but 702 were published \(Zheng"):
        load(f"dukemtmc:{tree}")
    few = {"train": Count(1, 1), "query": Count(1, 1), "gallery": Count(1, 1)}
    monkeypatch.setitem(FORMATS, "dukemtmc", replace(FORMATS["dukemtmc"], published=few))
    assert rows(load(f"dukemtmc:{tree}").query) == [(5, 2, "0005_c2_f0046985.jpg")]
    monkeypatch.setitem(FORMATS, "dukemtmc", replace(FORMATS["dukemtmc"], published={"all": Count(2, 4)}))
    with pytest.raises(ReidError, match="3 images in dukemtmc's all part, but 4"):
        load(f"dukemtmc:{tree}")
