import os
from pathlib import Path

import numpy as np
import pytest

from pipeline.boxes import Tracked
from pipeline.groundtruth.read import Truth, read_ground_truth, read_truth
from pipeline.groundtruth.tracking_metrics import score_tracks


def people(*identities, evaluated=None):
    boxes = np.array([[100.0 * place, 0, 100 * place + 20, 50] for place in identities]).reshape(-1, 4)
    return Truth(boxes, np.array(evaluated or [True] * len(identities), bool), np.array(identities, np.int64))


def boxes(*pairs):
    """Boxes on the persons `place`, numbered `tracklet`."""
    rows = np.array([[100.0 * place, 0, 100 * place + 20, 50] for place, _ in pairs]).reshape(-1, 4)
    return Tracked(rows, np.array([number for _, number in pairs], np.int64))


def test_perfect_tracklets():
    truth = {frame: people(1, 2) for frame in range(5)}
    found = {frame: boxes((1, 7), (2, 9)) for frame in range(5)}
    score = score_tracks(truth, found)
    assert (score.hota, score.idf1, score.mota, score.purity) == pytest.approx((1, 1, 1, 1))
    assert (score.switches, score.tracklets, score.persons) == (0, 2, 2)


def test_a_swap_by_hand():
    # Persons 1 and 2 swap tracklets after two of four frames: two switches; best identities hold half of 8 boxes.
    truth = {frame: people(1, 2) for frame in range(4)}
    found = {frame: boxes((1, 7), (2, 9)) if frame < 2 else boxes((1, 9), (2, 7)) for frame in range(4)}
    score = score_tracks(truth, found)
    assert score.switches == 2
    assert score.mota == pytest.approx(1 - 2 / 8)
    assert score.idf1 == pytest.approx(0.5)
    assert score.purity == pytest.approx(0.5)


def test_two_tracklets_of_one_person_are_pure():
    truth = {frame: people(1) for frame in range(4)}
    found = {frame: boxes((1, frame // 2)) for frame in range(4)}
    score = score_tracks(truth, found)
    assert score.purity == 1
    assert (score.tracklets, score.persons, score.switches) == (2, 1, 1)


def test_a_box_on_somebody_hidden_does_not_count():
    truth = {0: people(1, 2, evaluated=[True, False])}
    assert score_tracks(truth, {0: boxes((1, 1), (2, 2))}).mota == pytest.approx(1)
    assert score_tracks(truth, {0: boxes((1, 1), (3, 2))}).mota == pytest.approx(0)


def test_a_box_on_nobody_in_a_region_does_not_count():
    around = np.array([[250.0, 0, 350, 100]])
    there = people(1, 3)
    truth = {0: Truth(there.boxes, there.evaluated, there.identities, around)}
    assert score_tracks(truth, {0: boxes((1, 1), (3, 2))}).mota == pytest.approx(1)
    crowd = {0: Truth(there.boxes[:1], there.evaluated[:1], there.identities[:1], around)}
    assert score_tracks(crowd, {0: boxes((1, 1), (3, 2))}).mota == pytest.approx(1)
    assert score_tracks(crowd, {0: boxes((1, 1), (5, 2))}).mota == pytest.approx(0)


def test_a_box_that_has_a_person_is_kept_and_a_second_one_on_a_distractor_is_wrong():
    # One to one, with the greatest sum of overlaps: 7 is on the person (.67), 8 on the distractor (1). A third box
    # on the distractor has nobody left.
    rows = np.array([[0.0, 0, 20, 50], [8.0, 0, 28, 50]])
    truth = {0: Truth(rows, np.array([True, False]), np.array([1, 2]))}
    found = np.array([[4.0, 0, 24, 50], [8.0, 0, 28, 50], [9.0, 0, 29, 50]])
    assert score_tracks(truth, {0: Tracked(found[:2], np.array([7, 8]))}).mota == pytest.approx(1)
    assert score_tracks(truth, {0: Tracked(found, np.array([7, 8, 9]))}).mota == pytest.approx(0)


def crowd(seed, frames=20, classes=(1, 1, 1, 2, 7, 8, 12, 1)):
    """Rows of a MOT17 ground truth and of results: people and distractors close to each other, on straight ways."""
    rng = np.random.default_rng(seed)
    place, step = rng.uniform(0, 60, (len(classes), 2)), rng.uniform(-2, 2, (len(classes), 2))
    truth, found, swap = [], [], rng.integers(5, 15, len(classes))
    for frame in range(frames):
        for person, kind in enumerate(classes):
            x, y = np.round(place[person] + frame * step[person], 1)
            truth.append((frame + 1, person + 1, x, y, 20, 50, int(kind == 1), kind, 1.0))
            if rng.random() < 0.85:
                dx, dy = np.round(rng.normal(0, 2.5, 2), 1)
                number = person if frame < swap[person] else person + len(classes)
                found.append((frame + 1, number + 1, round(x + dx, 1), round(y + dy, 1), 20, 50, 0.9, -1, -1, -1))
    return truth, found


@pytest.mark.parametrize(
    ("seed", "hota", "mota", "idf1", "switches"),
    [
        (0, 0.46238874237778826, 0.6875, 0.5369127516778524, 8),
        (4, 0.5029607949524554, 0.725, 0.6, 8),
        (7, 0.48684094612762996, 0.7625, 0.6442953020134228, 6),
    ],
)
def test_figures_of_trackeval_among_distractors(seed, hota, mota, idf1, switches, tmp_path):
    # By TrackEval 1.3.0 from PyPI on the same two files: MotChallenge2DBox with BENCHMARK MOT17, `eval_sequence` of
    # HOTA (the mean over alpha), CLEAR and Identity.
    files = (tmp_path / "gt.txt", tmp_path / "found.txt")
    for path, rows in zip(files, crowd(seed), strict=True):
        path.write_text("".join(",".join(f"{value:g}" for value in row) + "\n" for row in rows))
    truth, found = (read_ground_truth(path, min_visibility=0).frames for path in files)
    score = score_tracks(truth, {frame: Tracked(here.boxes, here.identities) for frame, here in found.items()})
    assert (score.hota, score.mota, score.idf1) == pytest.approx((hota, mota, idf1), rel=1e-12)
    assert score.switches == switches


def test_nothing_found_and_nobody_there():
    assert score_tracks({0: people(1)}, {}).mota == pytest.approx(0)
    assert np.isnan(score_tracks({}, {}).purity)


@pytest.mark.parametrize(
    ("name", "idf1", "mota"), [("TUD-Campus", 0.5577, 0.5265), ("TUD-Stadtmitte", 0.6446, 0.5640)]
)
def test_published_figures(name, idf1, mota):
    samples = os.environ.get("UAVPIPE_SAMPLE_DATA")
    if not samples:
        pytest.skip("UAVPIPE_SAMPLE_DATA is not set: it names the folder of sample footage")
    folder = Path(samples) / "eval" / "mot15_tud" / name
    truth = read_truth(folder / "gt.txt")
    found = {frame: Tracked(here.boxes, here.identities) for frame, here in read_truth(folder / "test.txt").items()}
    score = score_tracks(truth, found)
    assert score.idf1 == pytest.approx(idf1, abs=5e-5)
    assert score.mota == pytest.approx(mota, abs=5e-5)
