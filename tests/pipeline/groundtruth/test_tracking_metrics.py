import os
from pathlib import Path

import numpy as np
import pytest

from pipeline.boxes import Tracked
from pipeline.groundtruth.read import Truth, read_truth
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
