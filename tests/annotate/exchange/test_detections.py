"""Detections of other tools, in each format: the same two boxes of a flight of 4 frames of 200 x 100 px."""

import json

import pytest

from annotate.errors import AnnotateError
from annotate.exchange.admit import FlightFacts, Reading
from annotate.exchange.detections import read_detections

FACTS = FlightFacts("a", 4, (200, 100))
# frame from 0, box, score
BOXES = [(0, (10, 20, 30, 60), 0.9), (3, (150, 40, 170, 90), 0.25)]
MOT = "1,-1,10,20,20,40,0.9,-1,-1,-1\n4,-1,150,40,20,50,0.25,-1,-1,-1\n"
CORNERS = (
    "frame,x1,y1,x2,y2,score,class\n0,10,20,30,60,.9,person\n3,150,40,170,90,.25,Pedestrian\n1,1,1,9,9,.9,car\n"
)
YOLOV5 = """xmin,ymin,xmax,ymax,confidence,class,name,frame
10,20,30,60,0.9,0,person,0
50,20,90,60,0.8,2,car,0
150,40,170,90,0.25,0,person,3
"""
SIZES = "Frame_ID;Left;Top;Width;Height;Confidence\n1;10;20;20;40;0.9\n\n4;150;40;20;50;0.25\n"
RESULTS = [
    {"image_id": 0, "category_id": 1, "bbox": [10, 20, 20, 40], "score": 0.9},
    {"image_id": 3, "category_id": 1, "bbox": [150, 40, 20, 50], "score": 0.25},
]
COCO = {
    "images": [{"id": number, "file_name": f"a/{number}.jpg", "width": 200, "height": 100} for number in range(4)],
    "categories": [{"id": 7, "name": "person"}],
    "annotations": [
        {"id": 1, "image_id": 0, "category_id": 7, "bbox": [10, 20, 20, 40], "score": 0.9},
        {"id": 2, "image_id": 3, "category_id": 7, "bbox": [150, 40, 20, 50], "score": 0.25},
    ],
}
# centre and size in shares: 20 / 200, 40 / 100, 20 / 200, 40 / 100
YOLO = {"a_1.txt": "0 0.1 0.4 0.1 0.4 0.9\n", "a_2.txt": "", "a_4.txt": "0 0.8 0.65 0.1 0.5 0.25\n"}


def written(folder, name, content):
    path = folder / name
    if isinstance(content, dict) and all(each.endswith(".txt") for each in content):
        path.mkdir()
        for each, text in content.items():
            (path / each).write_text(text)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def found_in(path, reading=None, **more):
    found = read_detections(path, more.pop("facts", FACTS), reading or Reading(), **more)
    return found, [(box.frame, box.box, box.score) for box in found.found.persons]


@pytest.mark.parametrize(
    ("name", "content", "form", "account"),
    [
        ("d.txt", MOT, "mot", "2 boxes read, 2 used"),
        ("d.csv", MOT, "mot", "2 boxes read, 2 used"),
        ("d.csv", CORNERS, "table", "3 boxes read, 2 used; left out: 1 car"),
        ("d.csv", YOLOV5, "table", "3 boxes read, 2 used; left out: 1 car"),
        ("d.csv", SIZES, "table", "2 boxes read, 2 used; its frames count from 1"),
        ("d.json", RESULTS, "coco results", "2 boxes read, 2 used; class 1, the only one, is taken as person"),
        ("d.json", COCO, "coco", "2 boxes read, 2 used"),
        (
            "d",
            YOLO,
            "yolo",
            "2 boxes read, 2 used; its frames count from 1; class 0, the only one, is taken as person",
        ),
    ],
)
def test_every_format_gives_the_same_boxes(name, content, form, account, tmp_path):
    found, boxes = found_in(written(tmp_path, name, content))
    assert found.form == form
    assert found.found.account() == account
    for (frame, box, score), (expected_frame, expected_box, expected_score) in zip(boxes, BOXES, strict=True):
        assert (frame, score) == (expected_frame, expected_score)
        assert box == pytest.approx(expected_box)


def test_what_has_no_scores_gets_1_with_a_word(tmp_path):
    contents = {
        "d.csv": "frame,x,y,w,h\n0,10,20,20,40\n",
        "d.txt": "1,-1,10,20,20,40,-1,-1,-1,-1\n",
        "d": {"0.txt": "0 0.1 0.4 0.1 0.4\n"},
    }
    for name, content in contents.items():
        found, boxes = found_in(written(tmp_path, name, content))
        assert [(frame, score) for frame, _, score in boxes] == [(0, 1.0)]
        assert "no scores: all are 1" in found.found.account()


def test_images_of_a_folder_are_found_by_their_names(tmp_path):
    frames = {"img_0007": 0, "img_0009": 1}
    texts = {"img_0009.txt": YOLO["a_1.txt"], "img_0007.txt": YOLO["a_4.txt"]}
    _, boxes = found_in(written(tmp_path, "d", texts), frames=frames)
    assert sorted((frame, score) for frame, _, score in boxes) == [(0, 0.25), (1, 0.9)]
    rows = [row | {"image_id": f"img_000{9 - row['image_id']}.jpg"} for row in RESULTS]
    rows[1]["image_id"] = "img_0007.jpg"
    _, boxes = found_in(written(tmp_path, "d.json", rows), frames=frames)
    assert [(frame, score) for frame, _, score in boxes] == [(1, 0.9), (0, 0.25)]


def test_persons_are_named_by_class_or_number(tmp_path):
    texts = {"0.txt": "0 0.1 0.4 0.1 0.4 0.9\n2 0.8 0.65 0.1 0.5 0.25\n"}
    path = written(tmp_path, "d", texts)
    with pytest.raises(AnnotateError, match=r"its labels are '0' \(1\), '2' \(1\): name each .* by --person"):
        found_in(path)
    _, boxes = found_in(path, Reading(persons=("2",)))
    assert [score for _, _, score in boxes] == [0.25]
    (path / "classes.txt").write_text("pedestrian\ncar\npeople\n")
    _, boxes = found_in(path)
    assert [score for _, _, score in boxes] == [0.9, 0.25]


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("d.csv", CORNERS.replace("3,150", "4,150"), r"has frame 4 \(from 0\), the flight a has 4 frames"),
        ("d.csv", "frame,x,y,w,h\n1,1,1,9,9\n", "cannot be known whether the file counts from 0 or from 1"),
        ("d.csv", "time,x,y,w,h\n1,1,1,9,9\n", "columns time, x, y, w, h; expected frame; x1"),
        ("d.csv", "frame,x,y,w,h\n0,1,1,9\n", "line 2: 4 fields, the header has 5"),
        ("d.csv", "frame,x,y,w,h\n0,1,1,nan,9\n", "line 2: expected finite numbers"),
        ("d.csv", "frame,x1,y1,x2,y2\n0,9,1,1,9\n", "line 2: a box -8 wide"),
        ("d.csv", "frame,x,y,w,h\n0,300,1,9,9\n", r"boxes reach to 309×10 px"),
        ("d.csv", "frame,x,y,w,h\nlast,1,1,9,9\n", "line 2: 'last' names no frame"),
        ("d.csv", "frame,x,y,w,h,score\n0,1,1,9,9,35\n", "scores from 35 to 35; expected 0 to 1"),
        (
            "d.json",
            [{"image_id": 0, "bbox": [1, 2, 3, 4]}],
            "row 1: expected image_id, category_id, bbox and score",
        ),
        ("d.json", [RESULTS[0] | {"bbox": [1, 2, 3]}], "row 1: expected bbox as"),
        ("d.json", [row | {"category_id": 3} for row in RESULTS], r"its labels are '3' \(2\)"),
        ("d.json", COCO | {"images": [COCO["images"][0] | {"width": 999}, *COCO["images"][1:]]}, "several sizes"),
        ("d.json", "{", "not JSON"),
        ("d", {"0.txt": "0 10 20 20 40\n"}, r"0\.txt line 1: expected a whole class and four shares"),
        ("d", {"0.txt": "0 .1 .1 .1 .1 .1 .1 .1\n"}, "line 1: 8 fields"),
        ("d", {"start.txt": "0 .1 .1 .1 .1\n"}, "'start' names no frame"),
        ("d", {"classes.txt": "person\n"}, "no texts here"),
        ("d.doc", "nothing", r"of no known kind; expected \.json \(COCO's .* or YOLO's folder of texts"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(name, content, error, tmp_path):
    with pytest.raises(AnnotateError, match=error) as refused:
        found_in(written(tmp_path, name, content))
    assert "\n" not in str(refused.value)


def test_the_first_frame_is_said_where_the_file_does_not_tell(tmp_path):
    path = written(tmp_path, "d.csv", "frame,x,y,w,h\n101,10,20,20,40\n")
    _, boxes = found_in(path, Reading(first_frame=100))
    assert boxes[0][0] == 1
    with pytest.raises(AnnotateError, match="has frame 101; expected frames from 102 up"):
        found_in(path, Reading(first_frame=102))
