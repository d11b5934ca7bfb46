import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from annotate.records import Detection
from annotate.suggestions.representatives import representatives


def detections(count, sharpness=lambda place: 50.0, crop=lambda place: True):
    return [
        Detection(
            place, 0, place / 10, (0, 0, 20, 40), 0.9, f"f/{place}.jpg" if crop(place) else None, sharpness(place)
        )
        for place in range(count)
    ]


def unit(rows):
    rows = np.array(rows, np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@given(count=st.integers(0, 300), wanted=st.integers(1, 15), seed=st.integers(0, 99))
def test_they_are_crops_of_the_tracklet_each_once_in_order(count, wanted, seed):
    draw = np.random.default_rng(seed)
    has_crop = draw.random(count) < 0.8
    these = detections(count, lambda place: float(draw.random()), lambda place: bool(has_crop[place]))
    chosen = representatives(these, unit(draw.random((count, 5)) + 0.01) if count else np.zeros((0, 5)), wanted)
    frames = [each.frame for each in chosen]
    assert frames == sorted(set(frames))
    assert all(has_crop[frame] for frame in frames)
    assert len(chosen) == min(wanted, int(has_crop.sum()), 96)


def test_a_blurred_crop_is_not_chosen_beside_a_sharp_one_alike():
    these = detections(4, lambda place: 0.1 if place == 2 else 80.0)
    vectors = unit([[1, 0], [1, 0], [0.95, 0.05], [0, 1]])
    assert [each.frame for each in representatives(these, vectors, 2)] in ([0, 3], [1, 3])


def test_the_one_frame_with_another_person_is_shown():
    vectors = np.tile(unit([[1, 0]]), (60, 1))
    vectors[31] = (0, 1)
    chosen = representatives(detections(60), vectors, 4)
    assert 31 in [each.frame for each in chosen]
