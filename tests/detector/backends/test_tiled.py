from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.backends.batches import batched
from detector.backends.load import load_predictor
from detector.backends.tiled import TiledPredictor, enlargement, is_cut, join, pieces_of
from detector.config import DetectorConfig, Resize, Tiles
from detector.models.presets import ARCHITECTURES
from detector.records import Detections
from detector.scores import TileScores

TILES = Tiles(size=100, overlap=0.3)


def array(*rows):
    return np.array(rows, np.float32).reshape(-1, 4)


def test_tiles_of_a_1080p_frame():
    # 1920 px in tiles of 640 that share 128: (1920 - 640) / 512 = 2.5, so four columns; 1080: two rows.
    boxes = pieces_of(1920, 1080, Tiles(size=640, overlap=0.2, full_image=True))
    assert boxes[:, 0].tolist() == [0, 426, 853, 1280] * 2 + [0]
    assert boxes[:, 1].tolist() == [0] * 4 + [440] * 4 + [0]
    assert boxes[-1].tolist() == [0, 0, 1920, 1080]


@given(width=st.integers(1, 900), height=st.integers(1, 900), size=st.integers(64, 500), overlap=st.floats(0, 0.9))
def test_tiles_cover_the_image_and_overlap_as_asked(width, height, size, overlap):
    tiles = Tiles(size=size, overlap=overlap, full_image=False)
    boxes = pieces_of(width, height, tiles)
    for low, high, length in ((0, 2, width), (1, 3, height)):
        edges = sorted({(int(box[low]), int(box[high])) for box in boxes})
        assert edges[0][0] == 0
        assert edges[-1][1] == length
        assert all(stop - start == min(size, length) for start, stop in edges)
        for (_, stop), (start, _) in pairwise(edges):
            assert stop - start >= int(overlap * size)


def test_an_image_that_fits_into_a_tile_is_one_piece():
    assert pieces_of(90, 60, TILES).tolist() == [[0, 0, 90, 60]]


def test_a_box_is_cut_only_at_an_edge_inside_the_image():
    piece = np.array([0, 0, 100, 100], np.float32)
    boxes = array((0, 20, 10, 40), (90, 20, 100, 40), (50, 90, 60, 99), (40, 40, 60, 60))
    # The tile's left and upper edges are the image's own; right and lower ones lie inside it.
    assert is_cut(boxes, piece, 300, 300).tolist() == [False, True, True, False]


def test_a_cut_box_gives_way_to_the_whole_one_even_if_it_is_surer():
    boxes = array((80, 10, 100, 50), (80, 10, 112, 50))
    found = join(boxes, np.array([0.9, 0.6], np.float32), np.array([True, False]), nms_iou=0.5)
    np.testing.assert_array_equal(found.boxes, boxes[1:])
    np.testing.assert_allclose(found.scores, [0.6])


def test_two_halves_that_nobody_saw_whole_become_one():
    # 70..130 across tiles 0..100 and 70..170: each sees half of its part in the overlap of 30 px.
    boxes = array((60, 10, 100, 50), (70, 10, 120, 50))
    found = join(boxes, np.array([0.7, 0.8], np.float32), np.array([True, True]), nms_iou=0.5)
    np.testing.assert_array_equal(found.boxes, array((60, 10, 120, 50)))
    np.testing.assert_allclose(found.scores, [0.8])


def test_neighbours_that_touch_stay_two():
    boxes = array((10, 10, 30, 50), (28, 10, 48, 50))
    found = join(boxes, np.array([0.7, 0.8], np.float32), np.array([False, False]), nms_iou=0.5)
    assert len(found) == 2


@dataclass(frozen=True)
class Oracle:
    """Sees every person of an image of numbered pixels, as far as the piece shows them."""

    people: np.ndarray
    batch_size: int = 3
    workers: int = 1
    runtime: str = "oracle"

    def preprocess(self, image):
        return image

    def predict(self, batch):
        assert len(batch) <= self.batch_size
        found = []
        for image in batch:
            height, width = image.shape[:2]
            top, left = int(image[0, 0, 0]), int(image[0, 0, 1])  # each pixel carries its own place
            shown = (self.people - [left, top, left, top]).clip(0, [width, height, width, height])
            boxes = shown[((shown[:, 2:] - shown[:, :2]) > 0).all(axis=1)].astype(np.float32)
            found.append(Detections(boxes, np.linspace(0.9, 0.6, len(boxes), dtype=np.float32)))
        return found


def numbered(width, height):
    rows, columns = np.mgrid[:height, :width]
    return np.dstack([rows, columns, rows]).astype(np.uint16)


@given(st.data())
def test_persons_that_fit_into_the_overlap_are_found_once_and_whole(data):
    width, height = data.draw(st.integers(100, 400)), data.draw(st.integers(100, 300))
    # One person a cell of 60 px, so that they do not touch; smaller than the 30 px that tiles share.
    cells = [(x, y) for x in range(0, width - 30, 60) for y in range(0, height - 30, 60)]
    chosen = data.draw(st.lists(st.sampled_from(cells), unique=True, max_size=8))
    sizes = [(data.draw(st.integers(6, 24)), data.draw(st.integers(6, 24))) for _ in chosen]
    people = array(*((x + 3, y + 3, x + 3 + w, y + 3 + h) for (x, y), (w, h) in zip(chosen, sizes, strict=True)))
    full = data.draw(st.booleans())
    tiled = TiledPredictor(Oracle(people), DetectorConfig(tiles=Tiles(size=100, overlap=0.3, full_image=full)))
    found = tiled.predict([tiled.preprocess(numbered(width, height))] * 2)
    assert len(found) == 2
    for one in found:
        assert sorted(map(tuple, one.boxes.tolist())) == sorted(map(tuple, people.tolist()))


def small_with(scores):
    resize = Resize(width=100, height=100)
    return ARCHITECTURES["small"].model_copy(update={"tile_scores": scores, "resize": resize})


def test_scores_in_tiles_are_the_weights_own_there():
    people = array((10, 10, 20, 30), (70, 10, 80, 30), (150, 10, 160, 30))
    line = TileScores(slope=1.0, offset=-1.0, enlargement=2.0)
    config = DetectorConfig(tiles=Tiles(size=100, overlap=0.3, full_image=False), floor=0.5)
    tiled = TiledPredictor(Oracle(people), config, small_with(line))
    (found,) = tiled.predict([tiled.preprocess(numbered(200, 100))])  # 200 px at 0.5, tiles at 1
    assert found.scores[0] == pytest.approx(line(0.9))
    # A score of 0.6 is one of 0.356 there, below the floor.
    assert (found.scores >= 0.5).all()
    # In less enlarged tiles, and in an image that is a single one, scores mean what they do in whole images.
    (larger,) = tiled.predict([tiled.preprocess(numbered(150, 100))])
    assert line(0.9) < larger.scores[0] < 0.85
    (single,) = tiled.predict([tiled.preprocess(numbered(90, 100))])
    assert single.scores[0] == pytest.approx(0.9)
    plain = TiledPredictor(Oracle(people), config)
    assert plain.predict([tiled.preprocess(numbered(200, 100))])[0].scores[0] == pytest.approx(0.9)


def test_enlargement_by_hand():
    into_960 = Resize(width=960, height=960)
    # 1080p at 0.5; tiles of 1080 px at 960 / 1080, of 480 px at 2.
    assert enlargement(1920, 1080, Tiles(size=1080), into_960) == pytest.approx(960 / 1080 / 0.5, rel=1e-3)
    assert enlargement(1920, 1080, Tiles(size=480), into_960) == pytest.approx(4)
    # 3840 x 2160: the same tiles are twice as large against the whole.
    assert enlargement(3840, 2160, Tiles(size=480), into_960) == pytest.approx(8)
    assert enlargement(640, 360, Tiles(size=640), into_960) == pytest.approx(1)
    # The paper's input fills 800 x 648 with anything: 800 * 648 / 480² against 800 * 648 / (1600 * 1296).
    filled = Resize(width=800, height=648, keep_aspect=False)
    assert enlargement(1600, 1296, Tiles(size=480), filled) == pytest.approx((1600 * 1296 / 480**2) ** 0.5)


def test_tiles_find_with_the_real_model_what_lies_at_a_tiles_corner():
    config = DetectorConfig(
        weights="embedded", device="cpu", resize=Resize(width=192, height=192), tiles=Tiles(size=128), floor=0.01
    )
    image = np.asarray(np.random.default_rng(5).integers(0, 256, (216, 384, 3)), np.uint8)
    predictor = load_predictor(config)
    (found,) = predictor.predict([predictor.preprocess(image)])
    assert (found.boxes >= 0).all()
    assert (found.boxes <= [384, 216, 384, 216]).all()
    assert found.boxes[:, 2].max() > 128  # beyond the first tile: offsets are added
    with pytest.raises(ValueError, match="uint8"):
        predictor.preprocess(image.astype(np.float32))


def test_small_images_share_a_batch_of_the_network_and_every_forward_is_full():
    sizes = []

    class Counted(Oracle):
        def predict(self, batch):
            sizes.append(len(batch))
            return super().predict(batch)

    inner = Counted(array((5, 5, 20, 30)), batch_size=16)
    tiled = TiledPredictor(inner, DetectorConfig(tiles=Tiles(size=100, overlap=0.3)))
    prepared = (tiled.preprocess(numbered(170, 100)) for _ in range(10))  # two tiles, and the whole
    for batch in batched(prepared, tiled.batch_size):
        assert [len(found) for found in tiled.predict(batch)] == [1] * len(batch)
    assert sizes == [15, 15]
