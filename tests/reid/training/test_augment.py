import cv2
import numpy as np
import pytest
import torch

from reid.config import Augmentation
from reid.errors import ReidError
from reid.training.augment import CropStore, augment, draw, read_crop

PLAIN = Augmentation(flip=0)


@pytest.fixture(scope="module")
def crops(tmp_path_factory):
    folder = tmp_path_factory.mktemp("crops")
    rng = np.random.default_rng(0)
    paths = [folder / f"{number}.png" for number in range(5)]
    for path in paths:
        cv2.imwrite(str(path), rng.integers(0, 256, (30, 14, 3), np.uint8))
    return paths


def test_the_cache_changes_nothing_but_the_speed(crops):
    kept, read = CropStore(crops, 36, 18, 1.0), CropStore(crops, 36, 18, 0.0)
    for numbers in ([3, 1, 3], [0, 1, 4]):
        first, second = kept.take(np.array(numbers)), read.take(np.array(numbers))
        assert first.shape == (3, 36, 18, 3)
        assert np.array_equal(first, second)
    assert np.array_equal(kept.take(np.array([4]))[0], read_crop(crops[4], 36, 18))


def test_a_crop_is_decoded_once(crops, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(crops[0].read_bytes())
    store = CropStore([path], 20, 10, 1.0)
    before = store.take(np.array([0]))
    path.unlink()
    assert np.array_equal(store.take(np.array([0, 0]))[1], before[0])


def test_unreadable_images_are_named(tmp_path):
    (tmp_path / "text.jpg").write_text("no picture")
    with pytest.raises(ReidError, match=r"text\.jpg: not an image"):
        CropStore([tmp_path / "text.jpg"], 8, 4, 1.0).take(np.array([0]))


def draws_of(how, numbers, seed=0, scaled=(36, 18), size=(32, 16)):
    return draw(how, numbers, seed=seed, scaled=scaled, size=size)


def test_the_papers_augmentation_is_a_cut_and_a_mirror():
    images = np.random.default_rng(1).integers(0, 256, (40, 36, 18, 3), np.uint8)
    draws = draws_of(Augmentation(), range(40))
    result = augment(torch.from_numpy(images), draws, (32, 16)).numpy()
    assert result.shape == (40, 3, 32, 16)
    for image, changed, (top, left), flip in zip(images, result, draws.corner, draws.flip, strict=True):
        expected = image[top : top + 32, left : left + 16]
        expected = expected[:, ::-1] if flip else expected
        assert np.array_equal(changed, expected.transpose(2, 0, 1))
    assert set(draws.corner[:, 0]) == {0, 1, 2, 3, 4}
    assert set(draws.corner[:, 1]) == {0, 1, 2}
    assert 8 < draws.flip.sum() < 32


def test_a_draw_depends_on_seed_and_number_alone():
    how = Augmentation(erase=0.5, brightness=0.2, shrink=0.5)
    whole, part = draws_of(how, range(20)), draws_of(how, [7, 3])
    for name in ("corner", "flip", "blank", "colour", "shrink"):
        assert np.array_equal(getattr(whole, name)[[7, 3]], getattr(part, name))
    assert not np.array_equal(draws_of(how, range(20), seed=1).corner, whole.corner)


def test_shrunk_images_are_those_of_small_persons():
    stripes = np.zeros((60, 36, 18, 3), np.uint8)
    stripes[:, ::2] = 255
    how = Augmentation(flip=0, margin=1, shrink=0.5)
    draws = draws_of(how, range(60), size=(36, 18))
    result = augment(torch.from_numpy(stripes), draws, (36, 18)).numpy().astype(float)
    contrast = result.std(axis=(1, 2, 3))
    plain = draws.shrink == 1
    assert 15 < plain.sum() < 45
    assert draws.shrink.min() >= 0.2
    assert np.array_equal(result[plain], stripes[plain].transpose(0, 3, 1, 2))
    assert (contrast[draws.shrink < 0.5] < 0.4 * contrast[plain][0]).all()  # stripes of a pixel are grey from afar
    assert abs(result.mean(axis=(1, 2, 3)) - 127.5).max() < 12


def test_one_option_does_not_change_the_others_draws():
    plain, erased = draws_of(Augmentation(), range(20)), draws_of(Augmentation(erase=1.0, shrink=1.0), range(20))
    assert np.array_equal(plain.corner, erased.corner)
    assert np.array_equal(plain.flip, erased.flip)


def test_erased_rectangles_have_the_mean_colour_and_the_area_asked_for():
    how = Augmentation(flip=0, margin=1, erase=1.0, erase_area=(0.1, 0.2))
    draws = draws_of(how, range(50), scaled=(32, 16))
    images = torch.zeros(50, 32, 16, 3, dtype=torch.uint8)
    result = augment(images, draws, (32, 16))
    blank = (result == torch.tensor([124, 116, 104], dtype=torch.uint8)[:, None, None]).all(1)
    assert torch.equal(blank, (result != 0).any(1))
    shares = blank.double().mean((1, 2))
    assert shares.min() > 0.05
    assert shares.max() < 0.25
    for inside, (top, bottom, left, right) in zip(blank, draws.blank, strict=True):
        assert inside[top:bottom, left:right].all()
        assert int(inside.sum()) == (bottom - top) * (right - left)


def test_colours_by_hand():
    images = torch.zeros(1, 2, 1, 3, dtype=torch.uint8)
    images[0, 0, 0] = torch.tensor([100, 0, 0])  # grey 29.9; the other pixel is black
    draws = draws_of(PLAIN, [0], scaled=(2, 1), size=(2, 1))
    draws.colour[:] = [2, 1, 1]
    assert augment(images, draws, (2, 1))[0, :, 0, 0].tolist() == [200, 0, 0]
    draws.colour[:] = [1, 0, 1]  # no contrast: all is the mean grey, 14.95
    assert augment(images, draws, (2, 1)).unique().tolist() == [15]
    draws.colour[:] = [1, 1, 0]  # no saturation
    assert augment(images, draws, (2, 1))[0, :, 0, 0].tolist() == [30, 30, 30]
