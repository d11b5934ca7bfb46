"""What chance gets, against counts by hand and against features that know something."""

import numpy as np
import pytest

from reid.evaluation.chance import Chance, chance_of, chance_on
from reid.evaluation.evaluate import Evaluation, Options
from reid.evaluation.reranking import Reranking
from reid.records import JUNK, Samples


def samples(identities, camera, first=0):
    identities = np.array(identities, np.int64)
    return Samples(identities, np.full(len(identities), camera), np.arange(first, first + len(identities)))


def seen(persons, crops, nobody=()):
    """Each person once in camera 0 and `crops` times in camera 1, where also `nobody` is."""
    return samples(persons, 0), samples([*np.repeat(persons, crops), *nobody], 1, first=100)


def known(one, clear):
    """Features that tell the persons apart, or do not."""
    rng = np.random.default_rng(len(one))
    place = np.eye(16, dtype=np.float32)[one.identities % 16] * (10 if clear else 0)
    return place + rng.standard_normal((len(one), 16), np.float32)


@pytest.mark.parametrize(
    ("persons", "nobody", "clear", "says_nothing"),
    [
        ([1], (JUNK, JUNK), True, True),  # junk counts for nothing: every ranking is right
        ([1] * 4, (0,) * 30, True, False),
        ([1] * 4, (0,) * 30, False, True),
        (range(1, 9), (), True, False),
        (range(1, 9), (), False, True),
    ],
)
@pytest.mark.parametrize(
    "options",
    [
        Options("flight"),
        Options("tracklet"),
        Options("strict"),
        Options("single-shot", repeats=2),
        Options("market", reranking=Reranking(k1=3, k2=2), metric="cosine", average_precision="trapezoid"),
    ],
    ids=lambda options: options.protocol,
)
def test_figures_that_cannot_be_wrong_are_told(persons, nobody, clear, says_nothing, options):
    query, gallery = seen(list(persons), 3, nobody)
    result = Evaluation(query, gallery, options)(known(query, clear), known(gallery, clear))
    chance = chance_of(result, options)
    assert bool(chance.doubt(result.figures["mAP"])) == says_nothing
    assert chance == chance_of(result, options)
    assert set(chance.figures["random"]) == set(chance.figures["shuffled"]) == set(result.figures)
    assert Chance.of_content(chance.content()) == chance


def test_random_features_get_what_the_counts_say():
    query, gallery = seen([1, 2, 3, 4], 1)  # one right answer among four: rank-1 1/4, mAP (1 + 1/2 + 1/3 + 1/4) / 4
    chance = chance_on(samples([1, 2, 3, 4] * 50, 0), samples(gallery.identities, 1, first=1000), "flight")
    assert chance.figures["random"]["rank-1"] == pytest.approx(1 / 4, abs=0.05)
    assert chance.figures["random"]["mAP"] == pytest.approx(25 / 48, abs=0.05)
    assert chance_on(query, samples([5], 1), "flight") is None


@pytest.mark.parametrize(
    "content", [None, 1, {}, {"highest_mAP": 1.0}, {"highest_mAP": 1.0, "random": {"mAP": "x", "rank-1": 1.0}}]
)
def test_an_evaluation_of_before_has_no_chance(content):
    assert Chance.of_content(content) is None
