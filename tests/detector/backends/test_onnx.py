"""The models answer what is written down here, so that each box can be calculated by hand."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.backends.letterbox import place
from detector.backends.load import load_predictor
from detector.config import DetectorConfig, Onnx, Resize, Tiles
from detector.errors import DetectorError
from detector.models.weights import source_of
from pipeline.cli import main

if find_spec("onnxruntime") is None or find_spec("onnx") is None:
    pytest.skip("onnx or ONNX Runtime is not installed", allow_module_level=True)
from tests.detector.backends.onnx_models import HEIGHT, WIDTH, cells, write_model

# Two persons and something else, xyxy in px of the model's input.
BOXES = np.array([(20, 12, 36, 44), (60, 20, 76, 52), (8, 40, 24, 56)], np.float32)
SCORES = np.array([(0.9, 0.1), (0.6, 0.2), (0.02, 0.95)], np.float32)  # of persons, and of another class
# The same in an image of 96 x 32 px, by the place of that image in the input.
PLACED = {
    "top-left": [(20, 12, 36, 32), (60, 20, 76, 32)],  # nothing is moved, 32 and more is below the image
    "centre": [(20, 0, 36, 28), (60, 4, 76, 32)],  # 16 px of margin above
    "stretch": [(20, 6, 36, 22), (60, 10, 76, 26)],  # the height is doubled
}


def centred(boxes):
    return np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], axis=1)


def in_px(strides=(8, 16, 32), anchors=1, objectness=False, classes=SCORES.shape[1]):
    """Rows of a model that gives centre, width and height in px, each near its cell."""
    places = cells(strides, anchors)
    start = 5 if objectness else 4
    rows = np.zeros((1, len(places), start + classes), np.float32)
    rows[0, :, :2] = (places[:, :2] + 0.5) * places[:, 2:]
    rows[0, :, 2:4] = places[:, 2:]
    rows[0, :, 4:start] = 0.5
    rows[0, (7, 80, 33), :4] = centred(BOXES)
    rows[0, (7, 80, 33), start : start + 2] = SCORES * (2 if objectness else 1) * np.where(objectness, 0.5, 1)
    if objectness:
        rows[0, (7, 80, 33), 4] = 1
    return rows


def in_cells():
    """YOLOX: offsets in cells, and logarithms of sides in cells."""
    places = cells()
    rows = np.zeros((1, len(places), 7), np.float32)
    found = centred(BOXES)
    for number, column, row in ((0, 3, 3), (1, 8, 4), (2, 2, 6)):
        at = np.flatnonzero((places == (column, row, 8)).all(axis=1))[0]
        rows[0, at, :2] = found[number, :2] / 8 - (column, row)
        rows[0, at, 2:4] = np.log(found[number, 2:] / 8)
        rows[0, at, 4] = 1
        rows[0, at, 5:] = SCORES[number]
    return rows


def after_nms(*, batch=False):
    rows = np.concatenate([BOXES, SCORES.max(axis=1, keepdims=True), SCORES.argmax(axis=1)[:, None]], axis=1)
    if batch:  # image, box, class, score
        return np.concatenate([np.zeros((3, 1)), rows[:, :4], rows[:, 5:], rows[:, 4:5]], axis=1).astype(np.float32)
    return np.concatenate([rows, np.zeros((4, 6))])[None].astype(np.float32)


def counted():
    rows = after_nms()
    return {
        "num_dets": np.array([[3]], np.int64),
        "det_boxes": rows[..., :4],
        "det_scores": rows[..., 4],
        "det_classes": rows[..., 5].astype(np.int64),
    }


def queries(*, classes=2, exclusive=False):
    """Shares of the input's sides, and logits; the persons are class 0, or 1 if there are COCO's 91."""
    boxes, logits = np.full((1, 40, 4), 0.5, np.float32), np.full((1, 40, classes + exclusive), -30, np.float32)
    boxes[0, :3] = centred(BOXES) / np.array([WIDTH, HEIGHT] * 2)
    logits[..., -1] = 30 if exclusive else -30
    logits[0, :3, classes > 2 : 2 + (classes > 2)] = np.log(SCORES / (1 - SCORES))
    logits[0, :3, -1] = 0 if exclusive else logits[0, :3, -1]
    if exclusive:
        logits[0, 0, 2] = logits[0, 1, 2] = logits[0, 2, 1] = -30
    return {"logits": logits, "pred_boxes": boxes}


def shares():
    answer = queries()
    return {"output0": np.concatenate([answer["pred_boxes"], 1 / (1 + np.exp(-answer["logits"]))], axis=2)}


def sized():
    rows = after_nms()
    return {"labels": rows[..., 5].astype(np.int64), "boxes": rows[..., :4], "scores": rows[..., 4]}


def in_bins():
    """NanoDet-Plus: a distribution of each distance over 0 to 7 cells; halves are two bins alike."""
    places = cells((8, 16, 32, 64))
    rows = np.zeros((1, len(places), 2 + 4 * 8), np.float32)
    for number, column, row in ((0, 3, 3), (1, 8, 4), (2, 2, 6)):
        at = np.flatnonzero((places == (column, row, 8)).all(axis=1))[0]
        corner = np.array([column, row] * 2) * [1, 1, -1, -1] + BOXES[number] / 8 * [-1, -1, 1, 1]
        for side, distance in enumerate(corner):
            rows[0, at, 2 + 8 * side + int(np.floor(distance))] = 50
            rows[0, at, 2 + 8 * side + int(np.ceil(distance))] = 50
        rows[0, at, :2] = SCORES[number]
    return rows


def one(rows):
    return {"output": rows}


PERSONS = {"persons": (0,)}
LAYOUTS = {
    "yolox": (one(in_cells()), PERSONS, "top-left"),
    "yolox, boxes in px": (one(in_px(objectness=True)), PERSONS | {"layout": "yolox"}, "top-left"),
    "yolov5": (one(in_px(anchors=3, objectness=True)), PERSONS, "centre"),
    "yolov5, P6": (one(in_px((8, 16, 32, 64), 3, objectness=True)), PERSONS, "centre"),
    "yolov6": (one(in_px(objectness=True)), PERSONS | {"layout": "yolov5"}, "centre"),
    "yolov8": (one(in_px().transpose(0, 2, 1)), PERSONS, "centre"),
    "yolov8, P2": (one(in_px((4, 8, 16, 32)).transpose(0, 2, 1)), PERSONS, "centre"),
    "yolov8, rows": (one(in_px()), PERSONS | {"layout": "yolov8"}, "centre"),
    "yolo-nms": (one(after_nms()), {}, "centre"),
    "yolo-nms, of the batch": (one(after_nms(batch=True)), {}, "centre"),
    "yolo-nms, counted": (counted(), {}, "centre"),
    "RT-DETR": (shares(), PERSONS, "stretch"),
    "RT-DETR with sizes": (sized(), {}, "stretch"),
    "RT-DETR in logits": (queries(), PERSONS | {"range": "0-1"}, "stretch"),
    "DETR": (queries(classes=91, exclusive=True), {}, "stretch"),
    "NanoDet": (one(in_bins()), PERSONS, "stretch"),
}


def config_of(path, /, onnx=None, **others):
    return DetectorConfig(weights=str(path), backend="onnx", onnx=Onnx(**(onnx or {})), **others)


def found_in(predictor, *sizes):
    """The boxes and scores in plain images of `sizes`."""
    images = [np.full((height, width, 3), 90, np.uint8) for width, height in sizes]
    return predictor.predict([predictor.preprocess(image) for image in images])


@pytest.mark.parametrize("name", LAYOUTS)
def test_boxes_of_a_layout_by_hand(name, tmp_path):
    outputs, settings, fit = LAYOUTS[name]
    path = write_model(tmp_path / "m.onnx", outputs, sizes=name == "RT-DETR with sizes")
    predictor = load_predictor(config_of(path, settings))
    (found,) = found_in(predictor, (96, 32))
    np.testing.assert_allclose(found.boxes, PLACED[fit], atol=1e-3)
    np.testing.assert_allclose(found.scores, [0.9, 0.6], atol=1e-5)
    for other, boxes in PLACED.items():
        (found,) = found_in(load_predictor(config_of(path, settings | {"fit": other})), (96, 32))
        np.testing.assert_allclose(found.boxes, boxes, atol=1e-3)


@pytest.mark.parametrize(
    ("outputs", "settings", "error"),
    [
        (
            one(in_px(objectness=True)),
            {},
            r"outputs output \(1, 126, 7\) for an input of 96 x 64 .*layout: yolox, yolov5",
        ),
        (one(in_px() / WIDTH), {}, "are of no known layout"),
        (one(in_px().transpose(0, 2, 1) * 1000), {}, "are of no known layout"),
        (one(in_cells()), {"layout": "yolov8"}, r"not of detector.onnx.layout yolov8: expected \(n, 4"),
        (one(np.zeros((1, 3, 8, 8), np.float32)), {}, r"output \(1, 3, 8, 8\)"),
        (one(after_nms() + np.float32(0.5)), {}, "are of no known layout"),
        (queries() | {"more": np.zeros((1, 4), np.float32)}, {}, r"logits .*, pred_boxes .*, more \(1, 4\)"),
        (queries(), PERSONS, "set detector.onnx.range: 0-1"),
        (one(in_cells()), {}, "names none of its 2 classes; set detector.onnx.persons"),
        (one(in_cells()), {"persons": (2,)}, "persons is 2, expected numbers"),
        (one(in_cells()), {"persons": ("person",)}, "persons is person, expected numbers"),
    ],
)
def test_what_is_not_certain_is_refused_in_one_line(outputs, settings, error, tmp_path):
    with pytest.raises(DetectorError, match=error) as refused:
        load_predictor(config_of(write_model(tmp_path / "m.onnx", outputs), settings))
    assert "m.onnx: " in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("model", "settings", "error"),
    [
        ({"metadata": {"task": "pose"}}, {}, "task 'pose'"),
        ({"metadata": {"names": "{0: 'car', 1: 'bus'}"}}, {}, r"no category 'person' .*detector.onnx.persons NAME"),
        ({"metadata": {"names": "{0: 'person'}"}}, {}, "names 1 classes, but has outputs for 2"),
        (
            {"shape": (1, 4, HEIGHT, WIDTH)},
            {},
            r"takes images \[1, 4, 64, 96\] tensor\(float\); expected one input",
        ),
        ({"dtype": np.int64}, {}, "expected one input"),
        ({"dtype": np.uint8}, {"onnx": PERSONS | {"range": "0-1"}}, "takes bytes"),
        ({"shape": (1, 3, "h", "w")}, {}, "images of any size; give the size"),
        (
            {},
            {"resize": Resize(width=640, height=640)},
            "images of 96 x 64, but detector.resize is 640 x 640",
        ),
        ({}, {"resize": Resize(short_side=64)}, "takes width and height"),
        ({}, {"precision": "fp32"}, "take precision: auto"),
        ({}, {"preset": "small"}, "no preset"),
        ({}, {"device": "cuda"}, "device 'cuda'"),
    ],
)
def test_models_and_settings_that_do_not_fit_are_refused(model, settings, error, tmp_path):
    path = write_model(tmp_path / "m.onnx", one(in_cells()), **model)
    with pytest.raises(DetectorError, match=error):
        load_predictor(config_of(path, **({"onnx": PERSONS} | settings if "names" not in str(model) else settings)))


def test_other_files_are_refused(tmp_path):
    other = tmp_path / "other.onnx"
    other.write_bytes(b"not a model")
    for path, error in (
        (other, "other.onnx: not an ONNX model"),
        (tmp_path / "none.onnx", "no such model"),
        (tmp_path / "m.pt", "expected an .onnx file"),
    ):
        with pytest.raises(DetectorError, match=error):
            source_of(config_of(path))
    with pytest.raises(DetectorError, match=r"set detector\.backend: onnx"):
        source_of(DetectorConfig(weights=str(other), backend="torchvision"))


def test_the_hash_covers_tensors_outside_of_the_file(tmp_path):
    import onnx

    write_model(tmp_path / "m.onnx", one(in_cells()))
    path = tmp_path / "large.onnx"
    model = onnx.load(tmp_path / "m.onnx")
    onnx.save(model, path, save_as_external_data=True, location="m.data", size_threshold=1000)
    before = source_of(config_of(path)).sha256
    (found,) = found_in(load_predictor(config_of(path, PERSONS)), (96, 32))
    assert len(found) == 2
    data = bytearray((tmp_path / "m.data").read_bytes())
    data[-1] ^= 1
    (tmp_path / "m.data").write_bytes(data)
    assert source_of(config_of(path)).sha256 != before
    (tmp_path / "m.data").unlink()
    path.touch()  # else the file was read a moment ago
    with pytest.raises(DetectorError, match=r"has tensors in 'm\.data'"):
        source_of(config_of(path))


@pytest.mark.parametrize(
    ("settings", "weight", "seen"),
    [  # of red 200, green 100, blue 50 in a model that looks at the first channel
        ({}, 1 / 255, 50),  # YOLOX: BGR from 0 to 255
        ({"colours": "rgb"}, 1 / 255, 200),
        ({"range": "0-1"}, 1, 50 / 255),
        ({"range": "-1-1"}, 0.2, 50 / 127.5 - 1),
        ({"range": "imagenet", "colours": "rgb"}, 0.2, (200 - 123.675) / 58.395),
        ({"range": "imagenet"}, 0.2, (50 - 103.53) / 57.375),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_colours_and_values_are_as_said(settings, weight, seen, dtype, tmp_path):
    rows = in_cells()
    at = (0, np.flatnonzero(rows[0, :, 5] == np.float32(0.9))[0], 5)
    base = rows[at] = 0.5 if weight == 0.2 else 0
    score = base + weight * seen
    path = write_model(tmp_path / "m.onnx", one(rows), seen=((weight, 0, 0), at), dtype=dtype)
    predictor = load_predictor(config_of(path, PERSONS | settings, floor=0.0, max_detections=3))
    image = np.full((HEIGHT, WIDTH, 3), (200, 100, 50), np.uint8)
    (found,) = predictor.predict([predictor.preprocess(image)])
    assert score == pytest.approx(found.scores[np.abs(found.boxes[:, 0] - 20).argmin()], abs=2e-3)


def test_classes_are_chosen_by_their_names_and_counted_once(tmp_path):
    rows = in_px()
    rows[0, 34] = rows[0, 7]
    rows[0, 34, 4:] = (0.1, 0.85)  # the first person again, as people
    names = {"names": "{0: 'pedestrian', 1: 'people'}", "imgsz": "[64, 96]", "task": "detect"}
    path = write_model(tmp_path / "m.onnx", one(rows.transpose(0, 2, 1)), shape=("n", 3, "h", "w"), metadata=names)
    predictor = load_predictor(config_of(path))
    (found,) = found_in(predictor, (96, 64))
    np.testing.assert_allclose(found.boxes, BOXES[[2, 0, 1]])
    np.testing.assert_allclose(found.scores, [0.95, 0.9, 0.6])
    assert "pedestrian, people" in predictor.what
    (found,) = found_in(load_predictor(config_of(path, {"persons": ("people",)}, floor=0.5)), (96, 64))
    np.testing.assert_allclose(found.boxes, BOXES[[2, 0]])  # and the score of `people`
    np.testing.assert_allclose(found.scores, [0.95, 0.85])


def test_a_class_without_a_name_is_taken_with_a_word(tmp_path, caplog):
    rows = in_px(classes=80)
    load_predictor(
        config_of(
            write_model(
                tmp_path / "m.onnx",
                one(rows),
            ),
            {"layout": "yolov8"},
        )
    )
    assert "class 0 is taken as persons (as in COCO)" in caplog.text


@pytest.mark.parametrize(("batch", "given", "size"), [(1, 4, 1), (4, None, 4), ("n", 4, 4), ("n", None, 1)])
def test_batches_of_any_size_give_what_single_images_give(batch, given, size, tmp_path):
    rows = in_cells()
    at = (0, np.flatnonzero(rows[0, :, 5] == np.float32(0.9))[0], 5)
    rows[at] = 0
    path = write_model(tmp_path / "m.onnx", one(rows), shape=(batch, 3, HEIGHT, WIDTH), seen=((1 / 255, 0, 0), at))
    predictor = load_predictor(config_of(path, PERSONS, batch_size=given))
    assert predictor.batch_size == size
    images = [np.full((HEIGHT, WIDTH, 3), 30 + 40 * number, np.uint8) for number in range(5)]
    prepared = [predictor.preprocess(image) for image in images]
    start = threading.Barrier(3)

    def all_of_them(_):
        start.wait()
        return predictor.predict(prepared)

    with ThreadPoolExecutor(3) as threads:
        for found in threads.map(all_of_them, range(3)):
            for number, persons in enumerate(found):
                expected = sorted([(30 + 40 * number) / 255, 0.6], reverse=True)
                np.testing.assert_allclose(persons.scores, expected, atol=1e-5)


def test_thresholds_nms_and_the_largest_number(tmp_path):
    rows = in_px()
    rows[0, 34] = rows[0, 7]
    rows[0, 34, 0] += 4  # of 16 px: IoU 12 / 20
    rows[0, 34, 4] = 0.8
    path = write_model(tmp_path / "m.onnx", one(rows.transpose(0, 2, 1)))
    for given_settings, scores in (
        ({}, [0.9, 0.6]),
        ({"nms_iou": 0.61}, [0.9, 0.8, 0.6]),
        ({"nms_iou": 0.61, "max_detections": 2}, [0.9, 0.8]),
        ({"floor": 0.7}, [0.9]),
        ({"floor": 0.01}, [0.9, 0.6, 0.02]),
    ):
        (found,) = found_in(load_predictor(config_of(path, PERSONS, **given_settings)), (96, 64))
        np.testing.assert_allclose(found.scores, scores, atol=1e-6)
    assert [len(found) for found in found_in(load_predictor(config_of(path, PERSONS)), (7, 96), (96, 64))] == [0, 2]


def test_tiles_run_the_model_on_each_piece(tmp_path):
    path = write_model(tmp_path / "m.onnx", one(in_cells()))
    tiles = Tiles(size=96, overlap=0.0, full_image=False)
    (found,) = found_in(load_predictor(config_of(path, PERSONS, tiles=tiles)), (192, 64))
    expected = np.concatenate([BOXES[:2], BOXES[:2] + np.array([96, 0, 96, 0])])
    np.testing.assert_allclose(found.boxes[np.lexsort(found.boxes.T[:1])], expected, atol=1e-3)


def test_a_model_whose_answer_to_images_is_no_score_is_named(tmp_path):
    rows = in_cells()
    at = (0, 5, 5)
    rows[0, 5, 4] = 1
    path = write_model(tmp_path / "m.onnx", one(rows), seen=((1, 0, 0), at))
    predictor = load_predictor(config_of(path, PERSONS))
    with pytest.raises(DetectorError, match=r"m\.onnx: gives scores that are not from 0 to 1"):
        found_in(predictor, (96, 64))


def test_inspect_tells_which_colours_and_values_find_most(tmp_path):
    rows = in_cells()
    at = (0, np.flatnonzero(rows[0, :, 5] == np.float32(0.9))[0], 5)
    rows[0, :, 5] *= 0.1  # only what the image shows is a person: the mean of the first channel
    rows[at] = 0.02
    path = write_model(tmp_path / "m.onnx", one(rows), seen=((1 / 255, 0, 0), at))
    for number in range(20):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((64, 96, 3), (10, 100, 200 + number), np.uint8))
    command = ["detector", "inspect", str(path), str(tmp_path), "--set", "onnx.persons=[0]"]
    shown = CliRunner().invoke(main, command).output
    assert "m.onnx: YOLOX, boxes in cells; input 96 x 64, BGR, 0-255, top-left; persons: 0" in shown
    assert re.search(r"rgb 0-255 +20 +16\.\d\d\n", shown)
    assert re.search(r"bgr 0-255 +0 +0\.00  used\n", shown)
    assert "set detector.onnx.colours=rgb, detector.onnx.range=0-255" in shown
    shown = CliRunner().invoke(main, [*command, "--set", "onnx.colours=rgb"]).output
    assert "colours and values fit" in shown
    assert "20 persons at most" not in shown
    shown = CliRunner().invoke(main, [*command, "--frames", "4"]).output
    assert "4 persons at most: too few to tell" in shown


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 300),
    st.integers(1, 300),
    st.sampled_from(["centre", "top-left", "stretch"]),
    st.tuples(*[st.integers(0, 64)] * 4),
)
def test_a_box_comes_back_from_the_models_input(width, height, fit, corners):
    placed = place(np.zeros((height, width, 3), np.uint8), WIDTH, HEIGHT, fit)
    (left, right), (top, bottom) = (sorted(each / 64 for each in pair) for pair in (corners[:2], corners[2:]))
    box = np.array([[left * width, top * height, right * width, bottom * height]], np.float32)
    there = box * np.tile(placed.scale, 2) + np.tile(placed.offset, 2)
    assert (there >= 0).all()
    assert (there <= np.array([WIDTH, HEIGHT] * 2) + 1e-3).all()
    back = placed.to_original(there, np.ones(1, np.float32))
    np.testing.assert_allclose(back.boxes, box, atol=1e-3)
    # Margins are grey, the image is black: it is where the boxes are.
    inside = placed.pixels == 0
    rows, columns = inside[0].any(axis=1).nonzero()[0], inside[0].any(axis=0).nonzero()[0]
    assert (columns[0], rows[0]) == tuple(placed.offset)
    assert len(columns) == round(width * placed.scale[0])
    assert len(rows) == round(height * placed.scale[1])


def test_an_exported_model_is_not_exported_again(tmp_path):
    path = write_model(tmp_path / "m.onnx", one(in_cells()))
    shown = CliRunner().invoke(main, ["detector", "export", str(path), "--out", str(tmp_path / "out.onnx")])
    assert shown.exit_code == 1
    assert "m.onnx: is exported already, and runs as it is" in shown.output
