import json

import numpy as np
import pytest

from detector.annotations.coco import AnnotatedImage, read_annotations, read_categories, read_coco
from detector.config import DataSource
from detector.errors import DetectorError

NONE = np.zeros((0, 4), np.float32)


def coco(*names, bbox=(1, 2, 3, 4), category=1, files=("1.png",), **more):
    return {
        "images": [{"id": n, "file_name": file} for n, file in enumerate(files, start=1)],
        "annotations": [{"id": 7, "image_id": 1, "category_id": category, "bbox": list(bbox), **more}],
        "categories": [{"id": n, "name": name} for n, name in enumerate(names or ("person",), start=1)],
    }


def read(tmp_path, content):
    path = tmp_path / "coco.json"
    path.write_text(json.dumps(content))
    return read_annotations(path, tmp_path)


def coco_text(bbox, image=1):
    return json.dumps(
        {
            "images": [{"id": 1, "file_name": "1.png"}],
            "annotations": [{"id": 7, "image_id": image, "category_id": 1, "bbox": bbox}],
            "categories": [{"id": 1, "name": "person"}],
        }
    )


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("{", "not COCO annotations"),
        ("[]", "not COCO annotations"),
        (coco_text([1, 2, 3]), r"annotation 7 has bbox \[1, 2, 3\]; expected \[left, top, width, height\]"),
        (coco_text([1, 2, 3, float("nan")]), "annotation 7 has bbox"),
        (coco_text("1 2 3 4"), "annotation 7 has bbox"),
        (coco_text([1, 2, 3, 4], image=8), "annotation 7 belongs to image 8, which is not listed"),
        ('{"images": [], "annotations": [], "categories": [{"id": 1, "name": "person"}]}', "expected at least one"),
        (
            '{"images": [], "annotations": [], "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]}',
            "no category",
        ),
        (json.dumps(coco(files=("../1.png",))), "image ../1.png is outside the folder"),
        (json.dumps(coco(files=("/etc/1.png",))), "image /etc/1.png is outside the folder"),
        (json.dumps(coco(image_id=[1])), r"annotation 7 belongs to image \[1\], which is not listed"),
    ],
)
def test_bad_annotations_are_named(tmp_path, content, expected):
    path = tmp_path / "coco.json"
    path.write_text(content)
    with pytest.raises(DetectorError, match=expected) as caught:
        read_annotations(path, tmp_path)
    assert str(path) in str(caught.value)


def test_a_missing_image_is_named(tmp_path):
    path = tmp_path / "coco.json"
    path.write_text(json.dumps(coco(files=("1.png", "2.png"))))
    (tmp_path / "2.png").touch()
    with pytest.raises(DetectorError, match=r"1 of its 2 images are missing, the first is .*1\.png"):
        read_coco(DataSource(annotations=path, images=tmp_path))


@pytest.mark.parametrize(
    ("names", "persons"),
    [
        (("car", "person"), (2,)),
        (("pedestrian", "people", "bicycle"), (1, 2)),
        (("person", "pedestrian", "people"), (1,)),
        (("bicycle", "Person"), (2,)),
        (("PERSON ",), (1,)),
        (("pedestrian", "car"), (1,)),
        (("car", "human"), (2,)),
        (("person", "bicycle", "person"), (1, 3)),
    ],
)
def test_which_categories_are_persons(tmp_path, names, persons):
    found = [n for n in range(1, len(names) + 1) if len(read(tmp_path, coco(*names, category=n))[0].boxes)]
    assert tuple(found) == persons
    assert read_categories(tmp_path / "coco.json").persons == persons


def test_boxes_are_corners_and_crowds_are_regions(tmp_path):
    image = read(tmp_path, coco(bbox=(10, 20, 5, 8)))[0]
    np.testing.assert_array_equal(image.boxes, [[10, 20, 15, 28]])
    assert image.size is None
    image = read(tmp_path, coco(bbox=(10, 20, 5, 8), iscrowd=1))[0]
    assert image.boxes.shape == (0, 4)
    np.testing.assert_array_equal(image.ignored, [[10, 20, 15, 28]])


@pytest.mark.parametrize(("category", "regions", "persons"), [(None, 1, 0), (0, 1, 0), (1, 0, 1), (2, 0, 1)])
def test_visdrones_regions_are_told_from_its_ignored_persons(tmp_path, category, regions, persons):
    original = {} if category is None else {"original_category": category}
    image = read(tmp_path, coco(iscrowd=1, **original))[0]
    assert (len(image.regions), len(image.ignored_persons), len(image.ignored)) == (regions, persons, 1)


def test_an_area_is_the_annotated_one_or_the_boxs(tmp_path):
    assert read(tmp_path, coco(area=7.5))[0].areas.tolist() == [7.5]
    assert read(tmp_path, coco())[0].areas.tolist() == [12]
    assert AnnotatedImage(tmp_path, None, np.array([[1, 2, 4, 6]], np.float32), NONE).areas.tolist() == [12]


def test_an_image_keeps_its_id(tmp_path):
    assert read(tmp_path, coco())[0].image_id == 1
