"""YOLO and VisDrone folders as other tools leave them: read to what they mean, or refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.annotations.visdrone import read_visdrone
from detector.annotations.yolo import read_yolo
from detector.errors import DetectorError
from tests.detector.annotations.data_sets import SIZE, data_sets, picture


def yolo(folder, files, images=("a.jpg",), sizes=SIZE):
    for name in images:
        picture(folder / name if "/" in name else folder / "images" / name, sizes)
    (folder / "labels").mkdir(exist_ok=True)
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


ROWS = "0 0.5 0.5 0.1 0.4\n1 0.2 0.5 0.1 0.4\n"
FIRST, SECOND = [135, 60, 30, 80], [45, 60, 30, 80]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"data.yaml": "names: ['car', 'person']\nnc: 2\n"}, SECOND),
        ({"data.yaml": "names:\n  0: car\n  1: Person\n"}, SECOND),
        ({"my.yml": "names:\n- Pedestrian\n- no\n"}, FIRST),
        ({"labels/classes.txt": "person\ncar\n"}, FIRST),
        ({"classes.txt": "\ufeffcar\r\nPEOPLE\r\n"}, SECOND),
        ({"obj.names": "car\nhuman"}, SECOND),
        ({"data.yaml": "names: [car, person]", "labels/classes.txt": "car\nperson\n"}, SECOND),
    ],
)
def test_yolo_classes_are_taken_by_name(tmp_path, files, expected):
    result = read_yolo(yolo(tmp_path, {"labels/a.txt": ROWS, **files}))
    assert [row["bbox"] for row in result.images[0].annotations] == [expected]
    assert result.account.left_out.total() == 1
    assert any(line.startswith("  persons: ") for line in result.account.lines(tmp_path))


@pytest.mark.parametrize(
    ("files", "persons", "expected"),
    [
        ({}, (), r"the rows are of classes 0, 1, and no data\.yaml.*--person NUMBER"),
        ({}, ("car",), r"no data\.yaml.* has names of classes; give numbers instead of --person car"),
        ({"data.yaml": "names: [car, boat]"}, (), r"data\.yaml: no category 'person' among car \(0\), boat \(1\)"),
        ({"data.yaml": "names: [car, boat]"}, ("dog",), r"--person dog: no such class; there are car \(0\)"),
        ({"data.yaml": "names: [person]"}, (), r"a\.txt line 2: class 1, but the names are of classes 0 to 0"),
        ({"data.yaml": "names: [a, b, person]"}, (), r"no row of class 2; the rows are of class 0 \(a\), 1 \(b\)"),
        ({"data.yaml": "names: [car, person]\nnc: 3"}, (), "nc is 3, but there are 2 names"),
        ({"data.yaml": "names: 3"}, (), "names: expected a list of names"),
        ({"data.yaml": "names: [car"}, (), "not YAML"),
        (
            {"data.yaml": "names: [car, person]", "classes.txt": "person\ncar"},
            (),
            "class 0 is .*; remove the wrong",
        ),
    ],
)
def test_yolo_classes_that_cannot_be_recognised_are_refused(tmp_path, files, persons, expected):
    with pytest.raises(DetectorError, match=expected):
        read_yolo(yolo(tmp_path, {"labels/a.txt": ROWS, **files}), persons=persons)


def test_yolo_classes_may_be_named_or_numbered(tmp_path):
    folder = yolo(
        tmp_path, {"labels/a.txt": ROWS, "data.yaml": "names: [walker, car]", "classes.txt": "walker\ncar"}
    )
    assert [row["bbox"] for row in read_yolo(folder, persons=("Walker",)).images[0].annotations] == [FIRST]
    (folder / "classes.txt").write_text("car\nwalker\n")
    assert [row["bbox"] for row in read_yolo(folder, persons=("0",)).images[0].annotations] == [FIRST]


def test_yolo_folders_as_other_tools_leave_them(tmp_path):
    row = "0 0.5 0.5 0.1 0.4\n"
    leftovers = {"images/._a.jpg": "x", "labels/._a.txt": "x", "images/Thumbs.db": "x", "images/.DS_Store": "x"}
    folder = yolo(
        tmp_path / "nested",
        {"labels/a.TXT": row, "labels/x/b.txt": row * 2, **leftovers},
        ("a.jpg", "images/x/b.JPG"),
    )
    result = read_yolo(folder)
    assert [(image.file_name, len(image.annotations)) for image in result.images] == [
        ("images/a.jpg", 1),
        ("images/x/b.JPG", 1),
    ]
    assert result.account.left_out == {"repeated": 1}
    darknet = yolo(
        tmp_path / "darknet",
        {"obj_train_data/a.txt": row, "obj.names": "person\n", "train.txt": "obj_train_data/a.jpg\n"},
        ("obj_train_data/a.jpg",),
    )
    (darknet / "labels").rmdir()
    assert [image.file_name for image in read_yolo(darknet).images] == ["obj_train_data/a.jpg"]
    flat = yolo(tmp_path / "flat", {"a.txt": row, "classes.txt": "person\n"}, ("/".join((".", "a.jpg")),))
    (flat / "labels").rmdir()
    assert len(read_yolo(flat).images[0].annotations) == 1


def test_yolo_images_of_one_name_and_unread_kinds(tmp_path):
    folder = yolo(tmp_path, {"labels/a.txt": "0 0.5 0.5 0.1 0.4\n", "images/b.HEIC": "x"})
    assert (
        read_yolo(folder).account.notes["images passed over: .heic is not read; convert them to JPEG or PNG"] == 1
    )
    picture(folder / "images/a.png")
    with pytest.raises(DetectorError, match=r"a\.png: a\.jpg has the same name but for the suffix"):
        read_yolo(folder)


def test_yolo_of_nobody_is_refused(tmp_path):
    with pytest.raises(DetectorError, match="no persons: 0 rows read; expected at least one person"):
        read_yolo(yolo(tmp_path, {"labels/a.txt": ""}))


def test_visdrone_passes_leftovers_over_and_counts(tmp_path):
    picture(tmp_path / "images/1_a.jpg")
    for name in ("images/._1_a.jpg", "annotations/._1_a.txt", "images/Thumbs.db"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"\0\5\x16\7")
    (tmp_path / "annotations/1_a.TXT").write_text("10,20,5,8,1,1,0,1\n900,2,5,5,1,1,0,0\n3,4,30,20,1,4,0,0\n")
    result = read_visdrone(tmp_path)
    assert [len(image.annotations) for image in result.images] == [2]
    assert list(result.account.lines(tmp_path)) == [
        f"{tmp_path}: 3 rows read, 2 used, 1 left out (1 of other categories)",
        "  1 boxes are outside their image; are they of images of another size?",
    ]
    (tmp_path / "annotations/1_a.TXT").write_text("3,4,30,20,1,4,0,0\n")
    with pytest.raises(DetectorError, match="no persons: 1 rows read, 1 of other categories"):
        read_visdrone(tmp_path)


@settings(max_examples=20)
@given(data_sets(), st.sampled_from(["list", "mapping", "classes", "labels"]))
def test_yolo_in_any_dialect_is_the_same(tmp_path_factory, data, dialect):
    names, rows = data
    folder = tmp_path_factory.mktemp("yolo")
    text = "".join(
        f"{names.index(name)} {(x + w / 2) / SIZE[0]:.6f} {(y + h / 2) / SIZE[1]:.6f} {w / SIZE[0]:.6f} "
        f"{h / SIZE[1]:.6f}\n"
        for name, (x, y, w, h) in rows
    )
    files = {
        "list": {"data.yaml": f"names: [{', '.join(names)}]"},
        "mapping": {"data.yaml": "names:\n" + "".join(f"  {n}: {name}\n" for n, name in enumerate(names))},
        "classes": {"classes.txt": "\n".join(names)},
        "labels": {"labels/classes.txt": "\r\n".join(names)},
    }[dialect]
    result = read_yolo(yolo(folder, {"labels/a.txt": text, **files}))
    found = np.array([row["bbox"] for row in result.images[0].annotations])
    expected = dict.fromkeys(box for name, box in rows if name == "person")
    np.testing.assert_allclose(found, list(expected), atol=0.02)
    assert result.account.read == len(rows)
    for name in files:
        (folder / name).unlink()
    if {name for name, _ in rows} != {"person"} or names[0] != "person":
        with pytest.raises(DetectorError, match="--person"):
            read_yolo(folder)
