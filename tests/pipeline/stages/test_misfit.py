"""Pictures that do not fit the one before them."""

import numpy as np
import pytest

from pipeline.stages.misfit import CUT, MISFIT, Misfit, unlike_before

STILL = np.array([[1, 0, 0], [0, 1, 0]], np.float32)


def ground(seed: int = 0) -> np.ndarray:
    """Grey ground, uint8 (700, 1000), with texture of several sizes."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((700, 1000))
    for size in (5, 20, 50):
        coarse = rng.normal(0, 25, (700 // size + 1, 1000 // size + 1))
        picture += np.kron(coarse, np.ones((size, size)))[:700, :1000]
    return np.clip(128 + picture, 0, 255).astype(np.uint8)


def views(shift: int, count: int = 5) -> tuple[list[np.ndarray], np.ndarray]:
    """Pictures of a camera that moves right by `shift` px, with noise, and the motion between two of them."""
    rng = np.random.default_rng(1)
    world = ground().astype(float)
    pictures = [
        np.clip(
            world[:540, n * shift : n * shift + 960 - 5 * shift] + rng.normal(0, 3, (540, 960 - 5 * shift)), 0, 255
        )
        for n in range(count)
    ]
    motion = STILL.copy()
    motion[0, 2] = -shift
    return [each.astype(np.uint8) for each in pictures], motion


def scores(pictures: list[np.ndarray], motion: np.ndarray) -> list[float]:
    misfit = Misfit()
    return [misfit.next(each, motion).misfit for each in pictures]


def test_after_a_cut_the_picture_is_unlike_the_one_before() -> None:
    pictures, motion = views(6)
    pictures[3] = ground(7)[: pictures[3].shape[0], : pictures[3].shape[1]]
    misfit = Misfit()
    found = [misfit.next(each, motion).unlike for each in pictures[:4]]
    assert np.isnan(found[0])
    assert max(found[1:3]) < 0.1
    assert found[3] > CUT


@pytest.mark.parametrize("shift", [0, 6, 24])
def test_a_camera_over_the_ground_fits(shift: int) -> None:
    found = scores(*views(shift))
    assert np.isnan(found[:2]).all()  # nothing to compare with, and nothing to say what is usual
    assert max(found[2:]) < MISFIT / 2


def test_other_content_in_a_part_of_the_picture_fits_nothing() -> None:
    pictures, motion = views(6)
    rows, columns = slice(300, 420), slice(200, 600)
    pictures[3][rows, columns] = ground(7)[rows, columns]
    found = scores(pictures, motion)
    share = 120 * 400 / (540 * 930)
    assert found[3] == pytest.approx(share, rel=0.5)
    assert found[3] > MISFIT
    assert found[2] < MISFIT / 2


def test_somebody_who_walks_is_no_damage() -> None:
    pictures, motion = views(6, 5)
    for n, each in enumerate(pictures):
        each[200 + 12 * n : 290 + 12 * n, 300:340] = 20
    assert max(scores(pictures, motion)[2:]) < MISFIT / 2


def test_of_a_cut_nothing_is_said() -> None:
    pictures, motion = views(0)
    pictures[3] = ground(9)[:540, :960]
    assert np.isnan(scores(pictures, motion)[3])


def test_brighter_light_is_no_damage() -> None:
    pictures, motion = views(6)
    pictures[3:] = [np.clip(each.astype(int) + 15, 0, 255).astype(np.uint8) for each in pictures[3:]]
    assert max(scores(pictures, motion)[2:]) < MISFIT / 2


def test_doubt_lasts_to_the_next_sound_key_frame() -> None:
    key = dict.fromkeys(range(10), False) | {0: True, 6: True}
    assert unlike_before({3: 0.2, 8: 0.001}, key, set()) == {3, 4, 5}
    assert unlike_before({}, key, set()) == set()


def test_a_key_frame_that_does_not_fit_is_damaged_unless_the_frame_before_it_was() -> None:
    key = dict.fromkeys(range(10), False) | {0: True, 6: True}
    assert unlike_before({6: 0.2}, key, set()) == {6, 7, 8, 9}
    assert unlike_before({3: 0.2, 6: 0.2}, key, set()) == {3, 4, 5}
    assert unlike_before({6: 0.2}, key, {4, 5}) == set()
