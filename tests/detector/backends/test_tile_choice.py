import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from detector.backends.tile_choice import MOST_COST, SMALL, affordable, affordable_for, by_height, by_look, look
from detector.backends.tiled import pieces_of
from detector.config import DetectorConfig, Resize, Tiles
from detector.errors import DetectorError
from detector.models.weights import source_of
from detector.records import Detections
from tests.detector.backends.onnx_models import write_model

INTO_960 = Resize(width=960, height=960)


def people(count, height, score=0.9):
    boxes = np.array([[10 * n, 0, 10 * n + 5, height] for n in range(count)], np.float32).reshape(-1, 4)
    return Detections(boxes, np.full(count, score, np.float32))


def test_tiles_of_a_1080p_frame_are_its_height_and_cost_less_than_five_whole_images():
    # Two squares of 1080 px, each 960 x 960 at the input, and the whole image, 960 x 540.
    option = affordable(1920, 1080, INTO_960)
    assert option.tiles == Tiles(size=1080)
    assert option.cost == pytest.approx((2 * 960 * 960 + 960 * 540) / (960 * 540))
    assert (option.whole_scale, option.tile_scale) == (0.5, pytest.approx(960 / 1080))


@settings(deadline=None)
@given(
    width=st.integers(200, 4000),
    height=st.integers(200, 3000),
    rule=st.sampled_from(
        [INTO_960, Resize(short_side=800, max_side=1333), Resize(width=800, height=648, keep_aspect=False)]
    ),
    padded=st.booleans(),
)
def test_affordable_tiles_enlarge_persons_and_never_cost_more_than_allowed(width, height, rule, padded):
    option = affordable(width, height, rule, padded=padded)
    assume(option is not None)
    boxes = pieces_of(width, height, option.tiles)
    sizes = [rule.size(x2 - x1, y2 - y1) for x1, y1, x2, y2 in boxes.tolist()]
    whole = rule.size(width, height)
    cost = len(boxes) if padded else sum(a * b for a, b in sizes) / (whole[0] * whole[1])
    assert option.cost == pytest.approx(cost)
    assert 1 < option.cost <= MOST_COST
    assert option.tile_scale > option.whole_scale


def test_small_persons_are_detected_in_tiles_and_large_ones_in_whole_images():
    option = affordable(1920, 1080, INTO_960)
    at_limit = SMALL / option.whole_scale
    small, large = (by_height(option, at_limit + shift, "by the telemetry") for shift in (-1, 1))
    assert small.tiles == Tiles(size=1080)
    assert small.cost == option.cost
    assert large.tiles is None
    assert large.cost == 1
    assert str(small).startswith("tiles of 1080 px and the whole image, 4.6 × the model time of whole images: by")


def test_a_first_look_takes_tiles_where_the_median_person_is_small():
    option = affordable(1920, 1080, INTO_960)
    assert by_look(option, [people(4, 20)] * 3, [people(6, 20)] * 3).tiles == option.tiles
    assert by_look(option, [people(0, 20)] * 3, [people(1, 20)] * 3).tiles == option.tiles
    assert by_look(option, [people(4, 150)] * 3, [people(6, 150)] * 3).tiles is None
    # Three of 20 px and two of 150: the median is small.
    assert by_look(option, [people(2, 150)], [people(3, 20), people(2, 150)]).tiles == option.tiles


def test_a_first_look_without_persons_or_with_unsure_ones_is_for_whole_images():
    option = affordable(1920, 1080, INTO_960)
    for found in (people(0, 20), people(20, 20, score=0.3)):
        choice = by_look(option, [people(0, 20)] * 3, [found] * 3)
        assert choice.tiles is None
        assert choice.why == "in 3 frames with 0 persons in whole images, 0 in tiles"


def test_no_affordable_tiles_are_whole_images_with_a_reason():
    for choice in (by_height(None, 10, "by the telemetry"), by_look(None, [], [])):
        assert choice.tiles is None
        assert "no tiles" in choice.why


def test_a_look_with_the_real_model_is_repeatable_and_says_what_it_saw():
    config = DetectorConfig(weights="embedded", device="cpu", resize=Resize(width=192, height=192), tiles="auto")
    images = np.random.default_rng(3).integers(0, 256, (2, 216, 384, 3)).astype(np.uint8)
    first, second = (look(config, source_of(config), images) for _ in range(2))
    assert first == second
    assert "in 2 frames" in first.why
    assert look(config, source_of(config), []).why == "no frame could be looked at"


@pytest.mark.parametrize("size", [(1280, 720), (1920, 1080), (2704, 1520), (3840, 2160)])
def test_a_model_of_one_input_size_gets_a_row_of_squares(size):
    """Two squares of the height show persons as large as two rows of slightly smaller ones, for three passes."""
    option = affordable(*size, Resize(width=416, height=416), padded=True)
    assert (option.tiles, option.cost) == (Tiles(size=size[1]), 3)


def test_the_input_of_an_onnx_model_is_that_of_its_file(tmp_path):
    path, output = tmp_path / "model.onnx", {"output": np.zeros((1, 126, 7), np.float32)}
    write_model(path, output, shape=(1, 3, 416, 416))
    config = DetectorConfig(weights=str(path), backend="onnx", tiles="auto", device="cpu")
    expected = affordable(1920, 1080, Resize(width=416, height=416), padded=True)
    assert affordable_for(1920, 1080, config, source_of(config)) == expected
    write_model(path, output, shape=(1, 3, "height", "width"))
    with pytest.raises(DetectorError, match=r"images of any size; give the size .*detector\.resize="):
        affordable_for(1920, 1080, config, source_of(config))
    sized = config.model_copy(update={"resize": Resize(width=416, height=416)})
    assert affordable_for(1920, 1080, sized, source_of(sized)) == expected


def test_tiles_are_auto_or_sizes():
    with pytest.raises(ValueError, match=r"expected auto, null or \{size"):
        DetectorConfig(tiles="some")
    assert DetectorConfig(tiles={}).tiles == Tiles()
