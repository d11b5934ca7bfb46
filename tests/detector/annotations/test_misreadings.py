"""No COCO file is read to other records than it means, without a word."""

import json
import re

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from detector.annotations.account import Account
from detector.annotations.coco import check_sources, read_annotations, read_categories, read_coco
from detector.annotations.results import read_results
from detector.config import DataSource
from detector.errors import DetectorError
from tests.detector.annotations.data_sets import SIZE, data_sets, picture


def annotation(number, **changes):
    return {
        "id": number,
        "image_id": 1,
        "category_id": 1,
        "bbox": [10 * number, 20, 20, 40],
        "iscrowd": 0,
    } | changes


def coco(**changes):
    """Two images of which the first shows two persons."""
    return {
        "images": [{"id": n, "file_name": f"{n}.jpg", "width": SIZE[0], "height": SIZE[1]} for n in (1, 2)],
        "annotations": [annotation(1), annotation(2)],
        "categories": [{"id": 1, "name": "person"}, {"id": 2, "name": "car"}],
    } | changes


def read(folder, content, persons=()):
    """The boxes of each image, and the lines that the user sees."""
    path, account = folder / "a.json", Account("annotations")
    path.write_text(json.dumps(content))
    images = read_annotations(path, folder, persons, account)
    return [image.boxes.tolist() for image in images], "\n".join(account.lines(path))


BOXES = [[10, 20, 30, 60], [20, 20, 40, 60]]
IMAGES = coco()["images"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"annotations": [annotation(1), annotation(2, category_id="1")]}, "1 times category_id is a text"),
        ({"annotations": [annotation(1), annotation(2, image_id="1")]}, "1 times image_id is a text"),
        ({"annotations": [annotation(1), annotation(2, category_id=1.0)]}, "2 used, 0 left out"),
        ({"annotations": [annotation(1), annotation(2, area=None)]}, "2 used, 0 left out"),
        ({"annotations": [annotation(1), annotation(2), annotation(2)]}, r"1 left out \(1 repeated\)"),
        (
            {"annotations": [annotation(1), annotation(1, bbox=[20, 20, 20, 40])]},
            "1 annotations have an id that occ",
        ),
        ({"annotations": [annotation(1), annotation(2), annotation(3, category_id=2)]}, r"\(1 of category car\)"),
        ({"annotations": [annotation(1), annotation(2), annotation(3, bbox=[1, 1, 0, 9])]}, r"\(1 without area\)"),
        (
            {"annotations": [annotation(1), annotation(2), annotation(3, iscrowd=1)]},
            "1 regions or persons to ignore",
        ),
        ({"annotations": [annotation(1), annotation(2, ignore=1)]}, "1 annotations have 'ignore' set"),
        ({"images": [IMAGES[0] | {"file_name": "a\\\\1.jpg"}, IMAGES[1]]}, "2 used, 0 left out"),
    ],
)
def test_what_can_be_read_is_read_with_a_word(tmp_path, changes, words):
    content = json.loads(json.dumps(coco(**changes)))
    found, lines = read(tmp_path, content)
    assert found == [BOXES, []]
    assert re.search(words, lines), lines


def test_two_categories_of_one_name_are_one_class(tmp_path):
    categories = [{"id": 1, "name": "person"}, {"id": 7, "name": "Person"}]
    found, lines = read(
        tmp_path, coco(categories=categories, annotations=[annotation(1), annotation(2, category_id=7)])
    )
    assert found == [BOXES, []]
    assert "persons: person (category 1), Person (category 7)" in lines


def test_boxes_that_do_not_fit_their_image_get_a_word(tmp_path):
    rows = [annotation(1, bbox=[900, 20, 20, 40]), annotation(2, bbox=[100, 100, 250, 180])]
    _, lines = read(tmp_path, coco(annotations=rows))
    assert "1 boxes are outside their image" in lines
    assert "1 boxes reach far beyond their image" in lines


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"annotations": [annotation(1), annotation(2, category_id=0)]},
            r"annotation 2 has category_id 0; .*1 \(person\)",
        ),
        ({"annotations": [annotation(1, category_id=None)]}, "annotation 1 has category_id null"),
        ({"annotations": [annotation(1, category_id=True)]}, "annotation 1 has category_id true"),
        ({"annotations": [annotation(4, area="12")]}, r"annotation 4 has area \"12\"; .* or no area"),
        ({"annotations": [annotation(4, area=-1)]}, "annotation 4 has area -1"),
        ({"annotations": [annotation(4, iscrowd="0")]}, r"annotation 4 has iscrowd \"0\"; expected 0 or 1"),
        ({"annotations": [annotation(1, bbox=[0.1, 0.2, 0.3, 0.4])]}, "as shares of the image do"),
        ({"annotations": [3]}, "'annotations' has 3 in place 1; expected a mapping"),
        ({"annotations": None}, "'annotations' is null"),
        ({"images": [IMAGES[0], IMAGES[1] | {"id": 1}]}, "two of the images have id 1"),
        ({"images": [IMAGES[0], IMAGES[1] | {"id": "1"}]}, "two of the images have id 1"),
        ({"images": [IMAGES[0], IMAGES[1] | {"file_name": "1.jpg"}]}, "images 1 and 2 have the same file_name"),
        ({"images": [IMAGES[0] | {"width": "300"}]}, r"image 1 has width \"300\" and height 200"),
        ({"images": [IMAGES[0] | {"width": None}]}, "image 1 has width null"),
        ({"images": [IMAGES[0] | {"file_name": None}]}, "image 1 has file_name null"),
        ({"images": [{"file_name": "1.jpg"}]}, "images 1 has id null"),
        (
            {"categories": [{"id": 1, "name": "person"}, {"id": 1, "name": "car"}]},
            "two of the categories have id 1",
        ),
        ({"categories": [{"id": 1}]}, "category 1 has name null"),
        (
            {"annotations": [annotation(1, bbox=[SIZE[0] - 40, SIZE[1] - 60, SIZE[0] - 5, SIZE[1] - 5])]},
            "two corners",
        ),
        ({"categories": [{"id": 1, "name": "car"}]}, r"no category 'person' among car \(1\); .*--person NAME"),
    ],
)
def test_what_would_be_misread_is_refused_in_our_words(tmp_path, changes, expected):
    with pytest.raises(DetectorError, match=expected) as caught:
        read(tmp_path, coco(**changes))
    assert str(tmp_path / "a.json") in str(caught.value)
    assert not any(word in str(caught.value) for word in ("Error", "NoneType", "None"))


def test_persons_may_be_named(tmp_path):
    content = coco(annotations=[annotation(1), annotation(2, category_id=2)])
    assert read(tmp_path, content, ["CAR"])[0] == [BOXES[1:], []]
    assert read(tmp_path, content, ["2"])[0] == [BOXES[1:], []]
    assert read_categories(tmp_path / "a.json", ["person", "car"]).persons == (1, 2)
    with pytest.raises(DetectorError, match=r"--person boat: no such class; there are person \(1\), car \(2\)"):
        read(tmp_path, content, ["boat"])


@pytest.mark.parametrize(
    ("stored", "orientation", "factor", "expected"),
    [
        ((300, 200), None, 1, None),
        ((200, 300), 6, 1, None),
        ((100, 200), None, None, "annotated as 300x200 px, but the image has 100x200 px"),
        ((450, 300), None, None, "annotated as 300x200 px, but the image has 450x300 px"),
        ((300, 200), 6, None, "annotated as 300x200 px, but EXIF turns it to 200x300 px"),
        ((600, 400), None, 2, "images of 600x400 px are annotated as 300x200 px"),
        ((100, 100), None, None, "100x100"),
        ((300, 200), 3, 1, "images are turned by EXIF"),
    ],
)
def test_sizes_are_compared_with_the_images(tmp_path, stored, orientation, factor, expected):
    for name in ("1.jpg", "2.jpg"):
        picture(tmp_path / name, stored, orientation)
    (tmp_path / "a.json").write_text(json.dumps(coco()))
    source, account = DataSource(annotations=tmp_path / "a.json", images=tmp_path), Account()
    if factor is None:
        with pytest.raises(
            DetectorError, match=rf"a\.json: 1\.jpg is {expected}" if "px" in expected else expected
        ):
            read_coco(source, account)
        return
    image = read_coco(source, account)[0]
    np.testing.assert_array_equal(image.boxes, np.array(BOXES) * factor)
    np.testing.assert_array_equal(image.areas, np.array([800, 800]) * factor**2)
    assert image.size == ((stored[1], stored[0]) if orientation == 6 else stored)
    said = [note for note in +account.notes if note.startswith(("images are", "images of"))]
    assert [expected in note for note in said] == ([True] if expected else [])


def test_of_many_reasons_the_most_frequent_are_shown(tmp_path):
    account = Account(read=1000)
    account.left_out.update({f"of category {number}": number for number in range(1, 21)})
    (line,) = account.lines(tmp_path)
    assert "790 used, 210 left out (20 of category 20, 19 of" in line
    assert line.endswith("13 of category 13, 78 for 12 other reasons)")


def test_a_data_set_of_nobody_is_refused(tmp_path):
    for name in ("1.jpg", "2.jpg"):
        picture(tmp_path / name)
    path = tmp_path / "a.json"
    source = DataSource(annotations=path, images=tmp_path)
    path.write_text(json.dumps(coco()))
    assert check_sources([source])[0] == f"{path}: 2 annotations read, 2 used, 0 left out"
    path.write_text(json.dumps(coco(annotations=[annotation(1, iscrowd=1), annotation(2, category_id=2)])))
    with pytest.raises(DetectorError, match=r"a\.json: no persons to train on"):
        check_sources([source])


def detection(**changes):
    return {"image_id": 1, "category_id": 1, "bbox": [10, 20, 20, 40], "score": 0.5} | changes


def results(folder, rows, persons=(1,), categories=(1, 2)):
    (folder / "a.json").write_text(json.dumps(coco()))
    path, account = folder / "r.json", Account("detections")
    path.write_text(json.dumps(rows))
    images = read_annotations(folder / "a.json", folder)
    found = read_results(path, images, persons, categories, account)
    return [each.boxes.tolist() for each in found], "\n".join(account.lines(path))


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([detection(image_id="1")], "1 times image_id is a text"),
        ([detection(category_id="1")], "1 times category_id is a text"),
        ([detection(), detection(category_id=2)], "(1 of category 2)"),
        ([detection(), detection(category_id=0)], "(1 of category 0, which the annotations do not list)"),
        ([detection()], "1 images without a detection"),
    ],
)
def test_detections_are_counted(tmp_path, rows, words):
    found, lines = results(tmp_path, rows)
    assert found == [BOXES[:1], []]
    assert words in lines


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([detection(category_id=0)], "none of its 1 rows is of a person: 1 of category 0, which the annotations"),
        ([detection(score=87)], "row 1: score 87, .*expected a score from 0 to 1"),
        ([detection(category_id=None)], "row 1: image_id 1, category_id null; expected ids"),
        ([detection(image_id="x")], r"row 1 is of image \"x\", which the annotations do not list"),
        ({"annotations": []}, "expected a list of detections"),
    ],
)
def test_detections_that_would_be_misread_are_refused(tmp_path, rows, expected):
    with pytest.raises(DetectorError, match=expected):
        results(tmp_path, rows)


@settings(max_examples=40)
@given(data_sets(), st.booleans(), st.booleans(), st.integers(0, 3))
def test_coco_in_any_dialect_is_the_same(tmp_path_factory, data, as_text, with_area, first):
    names, rows = data
    folder = tmp_path_factory.mktemp("coco")
    ids = {name: str(n) if as_text else n for n, name in enumerate(names, start=first)}
    content = coco(
        categories=[{"id": ids[name], "name": name.capitalize() if as_text else name} for name in names],
        annotations=[
            annotation(n, category_id=ids[name], bbox=list(box)) | ({"area": box[2] * box[3]} if with_area else {})
            for n, (name, box) in enumerate(rows)
        ],
    )
    persons = [box for name, box in rows if name == "person"]
    expected = [[[x, y, x + w, y + h] for x, y, w, h in persons], []]
    found, lines = read(folder, content)
    assert found == expected
    assert f"{len(rows)} annotations read, {len(persons)} used" in lines
    # Ids of categories that begin one later in the annotations than in their list.
    shifted = coco(**content)
    shifted["annotations"] = [
        row | {"category_id": str(int(row["category_id"]) + 1)} for row in content["annotations"]
    ]
    try:
        again, said = read(folder, shifted)
    except DetectorError:
        return
    assert again == expected or said != lines


@settings(max_examples=40)
@given(st.tuples(st.integers(100, 700), st.integers(100, 700)), st.sampled_from([None, 1, 3, 6, 8]))
@example(SIZE, None)
@example((600, 400), 1)
@example((100, 67), None)
def test_images_of_any_size_are_fitted_or_refused(tmp_path_factory, stored, orientation):
    folder = tmp_path_factory.mktemp("sizes")
    for name in ("1.jpg", "2.jpg"):
        picture(folder / name, stored, orientation)
    (folder / "a.json").write_text(json.dumps(coco()))
    account = Account()
    width, height = stored[::-1] if orientation in (6, 8) else stored
    try:
        image = read_coco(DataSource(annotations=folder / "a.json", images=folder), account)[0]
    except DetectorError as error:
        assert "300x200" in str(error)
        assert f"{width}x{height}" in str(error)
        return
    assert image.size == (width, height)
    assert width * SIZE[1] == height * SIZE[0]
    np.testing.assert_array_equal(image.boxes, np.array(BOXES) * (width / SIZE[0]))
    assert (width, height) == SIZE or any("their boxes are scaled" in note for note in account.notes)
