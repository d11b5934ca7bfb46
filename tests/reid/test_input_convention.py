import logging

import numpy as np
import pytest

from reid.crops import IMAGENET_MEAN, IMAGENET_STD
from reid.embedder import Embedder
from reid.errors import ReidError
from reid.input_convention import InputConvention, convention_of, stated_metric
from reid.openvino_runtime import import_openvino

CROPS = np.random.default_rng(0).integers(0, 256, (5, 8, 4, 3), np.uint8)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"range": "0-255"}, lambda pixel: pixel),
        ({"range": "0-1"}, lambda pixel: pixel / 255),
        ({"range": "-1-1"}, lambda pixel: pixel / 127.5 - 1),
        ({}, lambda pixel: (pixel / 255 - np.array(IMAGENET_MEAN)) / np.array(IMAGENET_STD)),
        ({"range": "0-255", "colours": "bgr"}, lambda pixel: pixel[::-1]),
        ({"range": "0-255", "mean": [1, 2, 3], "std": [2, 4, 5]}, lambda pixel: (pixel - [1, 2, 3]) / [2, 4, 5]),
        ({"range": "0-255", "colours": "bgr", "mean": [1, 2, 3]}, lambda pixel: pixel[::-1] - [1, 2, 3]),
    ],
)
def test_each_pixel_has_the_values_that_the_settings_say(settings, expected):
    values = InputConvention.model_validate(settings).values(CROPS)
    assert (values.shape, values.dtype) == ((5, 3, 8, 4), np.float32)
    np.testing.assert_allclose(values[3, :, 6, 2], expected(CROPS[3, 6, 2].astype(float)), rtol=1e-5, atol=1e-5)


def test_options_come_before_the_file_beside_the_model_and_that_before_the_default(tmp_path, caplog):
    weights = tmp_path / "model.onnx"
    with caplog.at_level(logging.WARNING):
        assert convention_of(weights, None, InputConvention()) == InputConvention()
    assert "model.onnx: assumed input: RGB, minus ImageNet's mean" in caplog.text
    caplog.clear()
    (tmp_path / "model.input.yaml").write_text("range: 0-255\ncolours: bgr\n")
    assert convention_of(weights, None, InputConvention()) == InputConvention(range="0-255", colours="bgr")
    assert convention_of(weights, {"colours": "rgb"}, InputConvention()) == InputConvention(range="0-255")
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("scale: 3", r"model\.input\.yaml: scale: .*known settings are range, mean, std, colours, height, width"),
        ("range: 0-9", r"model\.input\.yaml: range: "),
        ("mean: [1, 2]", r"model\.input\.yaml: mean\.2: "),
        ("- a", r"model\.input\.yaml: expected settings such as 'range: 0-255'"),
        ("a: [", r"model\.input\.yaml: cannot be read as YAML"),
    ],
)
def test_a_wrong_file_beside_the_model_is_named(tmp_path, text, complaint):
    (tmp_path / "model.input.yaml").write_text(text)
    with pytest.raises(ReidError, match=complaint):
        convention_of(tmp_path / "model.onnx", None, InputConvention())


def summing(path, shape, output, sums=(2, 3)):
    """A model that sums the pixels of each channel."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    values = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, sizes)
        for name, sizes in (("x", shape), ("y", output))
    ]
    axes = onnx.helper.make_tensor("axes", onnx.TensorProto.INT64, (len(sums),), sums)
    node = onnx.helper.make_node("ReduceSum", ["x", "axes"], ["y"], keepdims=int(len(output) == 4))
    graph = onnx.helper.make_graph([node], "sum", values[:1], values[1:], [axes])
    opset = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), str(path))
    return path


@pytest.mark.parametrize(
    ("shape", "output"),
    [(("n", 3, 8, 4), ("n", 3)), ((2, 3, 8, 4), (2, 3)), ((1, 3, 8, 4), (1, 3)), ((2, 3, 8, 4), (2, 3, 1, 1))],
)
@pytest.mark.parametrize("count", [1, 4, 5])
def test_a_fixed_batch_is_split_and_filled_up(tmp_path, shape, output, count):
    embedder = Embedder.load(summing(tmp_path / "a.onnx", shape, output), "cpu", {"range": "0-255"})
    found = embedder.embed(CROPS[:count])
    np.testing.assert_allclose(found, CROPS[:count].sum(axis=(1, 2), dtype=np.float32), rtol=1e-6)
    assert ("batches of" in embedder.what) == isinstance(shape[0], int)


def test_an_open_size_is_given_or_said(tmp_path):
    path = summing(tmp_path / "a.onnx", ("n", 3, "h", "w"), ("n", 3))
    with pytest.raises(ReidError, match=r"a\.onnx: leaves the size of its images open; give --input height=256"):
        Embedder.load(path, "cpu")
    assert Embedder.load(path, "cpu", {"height": 16, "width": 8}).size == (16, 8)


def test_openvinos_ir_gives_what_onnx_gives(tmp_path):
    openvino = import_openvino()  # not by pytest: it would report its use
    path = summing(tmp_path / "a.onnx", (2, 3, 8, 4), (2, 3))
    openvino.save_model(openvino.Core().read_model(path), tmp_path / "a.xml", compress_to_fp16=False)
    given = {"range": "0-1", "colours": "bgr"}
    found = [Embedder.load(tmp_path / name, "cpu", given).embed(CROPS) for name in ("a.onnx", "a.xml")]
    np.testing.assert_allclose(found[1], found[0], rtol=1e-5)
    (tmp_path / "person-reidentification-retail-1.xml").write_bytes((tmp_path / "a.xml").read_bytes())
    (tmp_path / "person-reidentification-retail-1.bin").write_bytes((tmp_path / "a.bin").read_bytes())
    zoo = Embedder.load(tmp_path / "person-reidentification-retail-1.xml", "cpu")
    assert (zoo.convention.range, zoo.convention.colours) == ("0-255", "bgr")
    (tmp_path / "a.bin").unlink()
    with pytest.raises(ReidError, match=r"a\.bin: no such file; an OpenVINO model is an \.xml and a \.bin beside"):
        Embedder.load(tmp_path / "a.xml", "cpu")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("no model", r"not XML \(syntax error: line 1, column 0\); give the \.xml of a model"),
        ("", r"not XML \(.*\); give the \.xml of a model"),
        ("<html></html>", r"its first element is 'html', where that of a model is 'net'"),
        ("<net", r"not XML"),
        ('<net name="a" version="11"><layers><layer', r"Error parsing start element tag at offset \d+$"),
    ],
)
def test_a_file_that_is_no_openvino_model_is_one_line(tmp_path, content, complaint, capfd):
    (tmp_path / "a.xml").write_text(content)
    (tmp_path / "a.bin").touch()
    with pytest.raises(ReidError, match=rf"a\.xml: OpenVINO cannot read it: {complaint}"):
        Embedder.load(tmp_path / "a.xml", "cpu")
    assert "".join(capfd.readouterr()) == ""


def test_nearly_equal_features_are_warned_of(tmp_path, caplog):
    import cv2

    path = summing(tmp_path / "a.onnx", ("n", 3, 8, 4), ("n", 3))
    files = {"any": [], "bright": []}
    for name, least in (("any", 0), ("bright", 200)):
        for number in range(8):
            pixels = np.random.default_rng(number).integers(least, 256, (8, 4, 3), np.uint8)
            files[name].append(tmp_path / f"{name}{number}.png")
            cv2.imwrite(str(files[name][-1]), pixels)
    with caplog.at_level(logging.WARNING):
        Embedder.load(path, "cpu", {"range": "-1-1"}).embed_files(files["any"])
        assert caplog.text == ""
        Embedder.load(path, "cpu", {"range": "-1-1"}).embed_files(files["bright"])
    assert "the features of the first 8 images are nearly equal (mean cosine 0.99" in caplog.text


def test_a_picture_like_its_negative_is_warned_of_once(tmp_path, caplog):
    """The sums of values from 0 to 255 are all positive, those from -1 to 1 change their sign."""
    import cv2

    path = summing(tmp_path / "a.onnx", (2, 3, 8, 4), (2, 3))
    files = []
    for number in range(8):
        files.append(tmp_path / f"{number}.png")
        cv2.imwrite(str(files[-1]), np.random.default_rng(number).integers(0, 256, (8, 4, 3), np.uint8))
    with caplog.at_level(logging.WARNING):
        Embedder.load(path, "cpu", {"range": "-1-1"})
        assert caplog.text == ""
        Embedder.load(path, "cpu", {"range": "0-255"}).embed_files(files)
    (record,) = caplog.records
    assert record.getMessage().startswith(
        "a.onnx: the features of a picture and of its negative are nearly equal (cosine 1.0000) with RGB, 0 to 255:"
    )


def test_the_metric_is_that_of_the_option_or_of_the_file_beside_the_model(tmp_path):
    model = tmp_path / "model.onnx"
    assert stated_metric(model, None) is None
    assert stated_metric(model, {"metric": "cosine"}) == "cosine"
    (tmp_path / "model.input.yaml").write_text("metric: cosine")
    assert stated_metric(model, None) == "cosine"
    assert stated_metric(model, {"metric": "euclidean"}) == "euclidean"
    (tmp_path / "model.input.yaml").write_text("metric: manhattan")
    with pytest.raises(ReidError, match=r"model\.input\.yaml: metric: "):
        stated_metric(model, None)
