import numpy as np
import pytest

import reid.evaluation.intervals as module
from reid.evaluation.distances import MatrixDistances
from reid.evaluation.evaluate import Evaluation, Options
from reid.evaluation.intervals import DRAWS, SEED, QueryFigures, intervals, verification_statistics
from reid.evaluation.open_set import open_set_of
from tests.reid.evaluation.test_open_set import crops


def figures_of(identities, precision, first_hit, right=None, wrong=None):
    precision = np.array(precision, float)
    return QueryFigures(np.array(identities), precision, precision / 2, np.array(first_hit), right, wrong)


@pytest.fixture(scope="module")
def measured():
    rng = np.random.default_rng(7)
    query, gallery = crops(rng, 160, persons=20), crops(rng, 140, persons=20)
    matrix = rng.random((160, 140), np.float32)
    one_person = query.identities[:, None] == gallery.identities
    matrix[one_person & (rng.random(matrix.shape) < 0.3)] /= 32
    result = Evaluation(query, gallery, Options()).rank(MatrixDistances(matrix))
    found = open_set_of(result)
    ranking = result.ranking
    queries = QueryFigures(
        query.identities,
        ranking.average_precision,
        ranking.inverse_negative_penalty,
        ranking.first_hit,
        found.nearest_right,
        found.nearest_wrong,
    )
    return result, found, queries


def test_with_each_person_once_the_statistics_are_the_figures(measured):
    result, found, queries = measured
    once = np.ones((1, queries.people().max() + 1))
    expected = {**result.figures, **found.figures()}
    statistics = queries.statistics() | verification_statistics(found.by_person)
    assert {name: statistic(once)[0] for name, statistic in statistics.items()} == pytest.approx(expected)
    assert {"TPR@FPR=1e-3", "TPIR@FPIR=1%"} <= set(expected)


def test_a_person_drawn_twice_counts_like_two_persons(measured):
    _, found, queries = measured
    statistics = queries.statistics() | verification_statistics(found.by_person)
    weights = np.random.default_rng(0).integers(0, 3, (4, queries.people().max() + 1)).astype(float)
    for draw in weights:
        rows = np.concatenate(
            [np.flatnonzero(queries.people() == p) for p, n in enumerate(draw) for _ in range(int(n))]
        )
        again = QueryFigures(*(getattr(queries, name)[rows] for name in queries.__dataclass_fields__))
        once = np.ones((1, again.people().max() + 1))
        for name, statistic in again.statistics().items():
            assert statistics[name](draw[None])[0] == pytest.approx(statistic(once)[0]), name


def test_the_interval_is_that_of_a_bootstrap_written_in_loops():
    rng = np.random.default_rng(1)
    identities = rng.integers(1, 9, 50)
    queries = figures_of(identities, rng.random(50), rng.integers(1, 30, 50))
    persons = np.unique(identities)
    draws = np.random.default_rng(SEED).multinomial(len(persons), np.full(len(persons), 1 / len(persons)), DRAWS)
    means = []
    for draw in draws:
        values = [
            queries.average_precision[identities == p] for p, n in zip(persons, draw, strict=True) for _ in range(n)
        ]
        means.append(np.concatenate(values).mean())
    expected = np.percentile(means, [2.5, 97.5])
    found = intervals(queries.statistics(), queries)
    assert found["mAP"] == pytest.approx(tuple(expected))
    assert found["mINP"] == pytest.approx(tuple(expected / 2))


def test_chunks_of_draws_make_no_difference(measured, monkeypatch):
    _, _, queries = measured
    whole = intervals(queries.statistics(), queries)
    monkeypatch.setattr(module, "_NUMBERS", 7 * 160)
    parts = intervals(queries.statistics(), queries)
    assert all(parts[name] == pytest.approx(interval) for name, interval in whole.items())


def test_queries_that_are_nobody_and_those_without_an_answer_do_not_count():
    more = figures_of([1, 1, 2, 0, -1, 3], [0.5, 0.7, 0.1, np.nan, np.nan, np.nan], [1, 2, 3, 0, 0, 0])
    assert more.statistics()["mAP"](np.ones((1, 3)))[0] == pytest.approx(1.3 / 3)
    low, high = intervals(more.statistics(), more)["mAP"]
    assert (low, high) == pytest.approx((0.1, 0.6))


def test_one_person_has_no_interval():
    assert intervals({}, figures_of([4, 4, 5], [0.1, 0.2, np.nan], [1, 2, 0])) == {}
