import threading
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from detector.backends.load import load_predictor
from detector.backends.torchvision import Predictor
from detector.config import DetectorConfig, Resize, Tiles
from detector.errors import DetectorError
from pipeline.cli import main
from pipeline.simulate.stills import render_still

# Not importorskip: importing it here would report it over the network.
if find_spec("openvino") is None:
    pytest.skip("OpenVINO is not installed", allow_module_level=True)
SMALL = Resize(width=480, height=480)
EXACT = DetectorConfig(weights="embedded", backend="openvino", precision="fp32", resize=SMALL)


@pytest.fixture(scope="module")
def pictures():
    return [render_still(np.random.default_rng(seed), (480, 270))[0] for seed in range(6)]


@pytest.fixture(scope="module")
def expected(pictures):
    predictor = Predictor.load(EXACT.model_copy(update={"backend": "torchvision", "device": "cpu"}))
    return [predictor.predict([predictor.preprocess(picture)])[0] for picture in pictures]


@pytest.fixture(scope="module")
def exported(pictures, tmp_path_factory):
    """The embedded model in int8, by the command."""
    if find_spec("nncf") is None:
        pytest.skip("NNCF is not installed")
    folder = tmp_path_factory.mktemp("int8")
    for number, picture in enumerate(pictures):
        cv2.imwrite(str(folder / f"{number}.png"), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    out = folder / "out" / "small.xml"
    arguments = ["detector", "export", "embedded", "--out", str(out), "--calibrate", str(folder), "--frames", "6"]
    result = CliRunner().invoke(main, [*arguments, "--set", "resize={width: 480, height: 480}"])
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in out.parent.iterdir()) == ["small.bin", "small.xml"]
    return out


def test_a_checkpoint_finds_what_it_finds_with_torch(pictures, expected):
    predictor = load_predictor(EXACT)
    assert sum(map(len, expected)) > 20
    for picture, persons in zip(pictures, expected, strict=True):
        (found,) = predictor.predict([predictor.preprocess(picture)])
        sure = persons.above(0.051)  # at the floor, rounding decides
        distance = np.abs(sure.boxes[:, None] - found.boxes).max(axis=2)
        assert distance.min(axis=1).max() < 0.1  # px
        np.testing.assert_allclose(found.scores[distance.argmin(axis=1)], sure.scores, atol=1e-3)
        assert len(found.above(0.052)) <= len(sure)


def test_threads_do_not_disturb_each_other(pictures):
    predictor = load_predictor(EXACT)
    prepared = [predictor.preprocess(picture) for picture in pictures]
    alone = predictor.predict(prepared)
    assert min(map(len, alone)) > 0
    start = threading.Barrier(3)

    def all_of_them(_):
        start.wait()
        return predictor.predict(prepared)

    with ThreadPoolExecutor(3) as threads:
        for found in threads.map(all_of_them, range(3)):
            for one, same in zip(found, alone, strict=True):
                np.testing.assert_array_equal(one.boxes, same.boxes)


def test_int8_still_finds_the_persons(pictures, expected, exported):
    predictor = load_predictor(EXACT.model_copy(update={"weights": str(exported)}))
    found = [predictor.predict([predictor.preprocess(picture)])[0] for picture in pictures]
    nearest = [
        np.abs(there.above(0.5).boxes[:, None] - here.above(0.1).boxes).max(axis=2).min(axis=1, initial=np.inf)
        for here, there in zip(found, expected, strict=True)
    ]
    off = np.concatenate(nearest)  # px
    assert len(off) > 10
    assert (off < 6).mean() > 0.8  # six pictures are few to calibrate on
    assert (off > 1e-3).any()  # it is not the same model


def test_tiles_and_an_empty_picture(exported):
    config = EXACT.model_copy(update={"weights": str(exported), "tiles": Tiles(size=128)})
    predictor = load_predictor(config)
    (found,) = predictor.predict([predictor.preprocess(np.zeros((200, 300, 3), np.uint8))])
    assert len(found) == 0


def test_a_higher_floor_and_fewer_boxes_need_no_other_export(pictures, exported):
    config = EXACT.model_copy(update={"weights": str(exported)})
    predictor = load_predictor(config)
    (every,) = predictor.predict([predictor.preprocess(pictures[0])])
    less = load_predictor(config.model_copy(update={"floor": 0.3, "max_detections": 2}))
    (found,) = less.predict([less.preprocess(pictures[0])])
    assert len(found) == 2
    np.testing.assert_array_equal(found.boxes, every.above(0.3).boxes[:2])


@pytest.mark.parametrize("change", [{"floor": 0.01}, {"max_detections": 900}, {"nms_iou": 0.7}])
def test_what_was_left_out_cannot_be_asked_for(change, exported):
    config = EXACT.model_copy(update={"weights": str(exported)} | change)
    with pytest.raises(DetectorError, match=rf"small.xml: exported with .*{next(iter(change))}"):
        load_predictor(config)


def test_a_gpu_is_refused():
    with pytest.raises(DetectorError, match="openvino runs on the CPU"):
        load_predictor(EXACT.model_copy(update={"device": "cuda"}))


@pytest.mark.parametrize("part", [".xml", ".bin"])
def test_a_torn_model_is_one_line(part, exported, tmp_path):
    torn = tmp_path / "torn.xml"
    for suffix in (".xml", ".bin"):
        torn.with_suffix(suffix).write_bytes(exported.with_suffix(suffix).read_bytes())
    path = torn.with_suffix(part)
    path.write_bytes(
        path.read_bytes()[:1000] if part == ".bin" else path.read_bytes().replace(b"<edge ", b"<edgy ")
    )
    with pytest.raises(DetectorError, match=r"torn.xml: OpenVINO cannot") as error:
        load_predictor(EXACT.model_copy(update={"weights": str(torn)}))
    assert "\n" not in str(error.value)
