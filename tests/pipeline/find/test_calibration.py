"""The calibration: what is fitted, and that its scores are shares of right answers."""

import numpy as np
import pytest

from annotate.operations import Mark
from pipeline.errors import PipelineError
from pipeline.files import file_sha256
from pipeline.find.calibration import (
    BUNDLED,
    Calibration,
    Trial,
    calibration_text,
    fit,
    probability,
    read_calibration,
    trials_of,
)
from pipeline.find.gallery import Gallery, mean_directions
from pipeline.sightings.tracklets import LabelledTracklets
from reid.weights import EMBEDDED


def simulated(count, answers, seed):
    """Searches whose right answers' similarities are normal about 0.7, the others' about 0.2."""
    rng = np.random.default_rng(seed)
    found = []
    for person in range(count):
        alike = rng.normal(0.2, 0.15, answers)
        alike[0] = rng.normal(0.7, 0.15)
        found.append(Trial(person, alike.astype(np.float32), np.arange(answers) == 0))
    return found


def test_its_numbers_are_those_of_the_distributions():
    # Bayes: log N(s; .7, .15) - log N(s; .2, .15) = (s - .45) .5 / .15², and half of one of n is right.
    fitted = fit(simulated(1000, 400, seed=0), "", "")
    slope = fitted.slope / fitted.spread
    assert slope == pytest.approx(0.5 / 0.15**2, rel=0.1)
    assert fitted.intercept - slope * fitted.mean == pytest.approx(-0.45 * 0.5 / 0.15**2 + np.log(0.5), rel=0.1)
    assert (fitted.persons, fitted.searches, fitted.answers) == (1000, 1000, 400)


def test_similarities_are_standardised_with_ten_usual_ones():
    usual = Calibration("", 0.0, 1.0, 0.0, 1.0, (0.0,), 0, 0, 0, "")
    center, spread = 0.4 / 12, ((0.1 - 0.4 / 12) ** 2 + (0.3 - 0.4 / 12) ** 2 + 10) ** 0.5 / 12**0.5
    expected = [(each - center) / spread - np.log(2) for each in (0.1, 0.3)]
    assert usual.log_odds(np.array([0.1, 0.3])) == pytest.approx(expected)


@pytest.mark.parametrize("answers", [60, 200])
def test_scores_are_shares_and_strangers_get_no_answer(answers):
    fitted = fit(simulated(1000, 60, seed=1), "", "")
    there = simulated(1000, answers, seed=2)
    absent = [each.without_the_person() for each in there]
    odds = np.array([fitted.log_odds(each.similarities).max() for each in there + absent])
    right = np.array([each.right[each.similarities.argmax()] for each in there] + [False] * len(absent))
    scores = probability(odds)
    assert right[scores > 0.5].mean() == pytest.approx(scores[scores > 0.5].mean(), abs=0.1)
    assert right[scores < 0.5].mean() == pytest.approx(scores[scores < 0.5].mean(), abs=0.1)
    assert (odds[len(there) :] > fitted.least(0.05)).mean() == pytest.approx(0.05, abs=0.03)


def test_separable_data_are_fitted():
    right = np.array([True, False])
    fitted = fit([Trial(person, np.array([0.9, 0.1], np.float32), right) for person in range(20)], "", "")
    yes, no = probability(fitted.log_odds(np.array([0.9, 0.1])))
    assert (yes > 0.9, no < 0.1) == (True, True)


def test_few_persons_are_too_few():
    with pytest.raises(PipelineError, match=r"^19 persons are labelled in two flights; a calibration needs 20$"):
        fit(simulated(19, 5, seed=0), "", "")


def test_a_search_is_for_one_crop_among_labelled_tracklets_of_other_flights():
    labels = {"f1/0": 1, "f2/0": 1, "f2/1": 2, "f2/2": Mark.DISTRACTOR, "f2/3": Mark.OPEN}
    axes = np.eye(3, dtype=np.float32)
    crops = dict(zip(labels, (axes[[0, 1, 2]], axes[[1]], axes[[0]], axes[[2]], axes[[1]]), strict=True))
    gallery = Gallery(list(labels), mean_directions(list(crops.values())), crops, {}, np.zeros(3, np.float32))
    first, second = trials_of(gallery, LabelledTracklets({}, labels))
    assert (first.person, first.similarities.tolist(), first.right.tolist()) == (1, [1, 0, 0], [True, False, False])
    assert (second.person, second.right.tolist()) == (1, [True])
    assert second.similarities == pytest.approx([3**-0.5])


def test_the_bundled_one_is_of_the_bundled_network(tmp_path):
    bundled = read_calibration(BUNDLED)
    assert bundled.network == file_sha256(EMBEDDED)[:16]
    assert bundled.slope > 0
    assert bundled.origin == "240 simulated persons"
    assert calibration_text(bundled) == BUNDLED.read_text(encoding="utf-8")
    assert isinstance(bundled, Calibration)
