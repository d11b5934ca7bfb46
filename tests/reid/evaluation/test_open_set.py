import numpy as np
import pytest

import reid.evaluation.open_set as open_set
from reid.evaluation.distances import MatrixDistances
from reid.evaluation.evaluate import Evaluation, Options
from reid.evaluation.open_set import FALSE_POSITIVES, open_set_of
from reid.records import Samples
from tests.reid.evaluation.brute_force import left_out


def crops(rng, count, persons=6, cameras=3):
    columns = rng.integers(-1, persons, count), rng.integers(0, cameras, count), np.full(count, -1)
    return Samples(*(column.astype(np.int64) for column in columns))


def evaluated(rng, queries, gallery, protocol="market", values=None):
    people = crops(rng, queries), crops(rng, gallery)
    matrix = rng.integers(0, 40, (queries, gallery)).astype(np.float32) if values is None else values
    one_person = people[0].identities[:, None] == people[1].identities
    matrix[one_person & (rng.random(matrix.shape) < 0.2)] /= 64
    result = Evaluation(*people, Options(protocol=protocol)).rank(MatrixDistances(matrix))
    return result, matrix, *people


def pairs(matrix, query, gallery, protocol):
    """Genuine and impostor distances of each query that is somebody, in loops."""
    for q, identity in enumerate(query.identities):
        if identity <= 0:
            continue
        out = left_out(query, gallery, q, protocol)
        own, others = [], []
        for g in range(len(gallery)):
            if g not in out:
                (own if gallery.identities[g] == identity else others).append((matrix[q, g], g))
        yield own, others


def slowly(matrix, query, gallery, protocol):
    """Every threshold that there is, tried."""
    searches = list(pairs(matrix, query, gallery, protocol))
    genuine = np.array([d for own, _ in searches for d, _ in own])
    impostors = np.array([d for _, others in searches for d, _ in others])
    wrong = np.array([min(others)[0] for _, others in searches if others])
    mated = [(min(own), min(others, default=(np.inf, 0))) for own, others in searches if own]
    found = {}
    for name, inverse in (("TPR@FPR=1e-2", 100), ("TPR@FPR=1e-3", 1000), ("TPR@FPR=1e-4", 10_000)):
        if len(impostors) >= inverse:
            tried = [t for t in genuine if (impostors <= t).sum() * inverse <= len(impostors)]
            found[name] = max(((genuine <= t).sum() for t in tried), default=0) / len(genuine)
    for name, inverse in (("TPIR@FPIR=1%", 100), ("TPIR@FPIR=5%", 20)):
        if len(wrong) >= inverse:
            tried = [t for (t, _), _ in mated if (wrong <= t).sum() * inverse <= len(wrong)]
            hits = [sum(own < other and own[0] <= t for own, other in mated) for t in tried]
            found[name] = max(hits, default=0) / len(mated)
    return found


@pytest.mark.parametrize("protocol", ["market", "flight"])
@pytest.mark.parametrize("ties", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_figures_are_those_of_every_threshold_tried(protocol, ties, seed):
    rng = np.random.default_rng(seed)
    matrix = rng.integers(1, 400, (130, 90)).astype(np.float32) if ties else rng.random((130, 90), np.float32)
    result, matrix, query, gallery = evaluated(rng, 130, 90, protocol, matrix)
    found = open_set_of(result).figures()
    assert found == pytest.approx(slowly(matrix, query, gallery, protocol))
    assert 0 < found["TPR@FPR=1e-2"] < 1
    assert 0 < found["TPIR@FPIR=5%"] < 1


def test_blocks_and_the_limit_of_what_is_counted_make_no_difference(monkeypatch):
    rng = np.random.default_rng(3)
    result, *_ = evaluated(rng, 60, 80, values=rng.random((60, 80), np.float32))
    whole = open_set_of(result)
    monkeypatch.setattr(open_set, "_QUERIES", 7)
    parts = open_set_of(result)
    assert parts.figures() == whole.figures()
    np.testing.assert_array_equal(parts.nearest_wrong, whole.nearest_wrong)
    allowed = whole.accepted <= 0.05 * whole.impostor_pairs
    np.testing.assert_array_equal(parts.accepted[allowed], whole.accepted[allowed])
    assert (parts.accepted[~allowed] > 0.05 * whole.impostor_pairs).all()


def test_sklearn_draws_the_same_curve():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(1)
    result, matrix, query, gallery = evaluated(rng, 150, 150, values=rng.random((150, 150), np.float32))
    found = list(pairs(matrix, query, gallery, "market"))
    own = [-d for one, _ in found for d, _ in one]
    others = [-d for _, one in found for d, _ in one]
    false, true, _ = metrics.roc_curve([1] * len(own) + [0] * len(others), own + others, drop_intermediate=False)
    figures = open_set_of(result).figures()
    assert len(others) > 10_000
    for name, rate in FALSE_POSITIVES.items():
        assert figures[name] == pytest.approx(true[false <= rate].max())


def test_counts_by_person_add_up_to_the_figures():
    rng = np.random.default_rng(2)
    result, matrix, query, gallery = evaluated(rng, 100, 90)
    found = open_set_of(result)
    counts, searches = found.by_person, list(pairs(matrix, query, gallery, "market"))
    genuine = [d for own, _ in searches for d, _ in own]
    assert counts.genuine_pairs.sum() == counts.genuine[:, -1].sum() == len(genuine)
    assert counts.impostor_pairs.sum() == found.impostor_pairs == sum(len(others) for _, others in searches)
    # There are fewer distances than steps: each is a threshold.
    for step, edge in enumerate(np.unique(genuine)):
        assert counts.genuine[:, step].sum() == sum(d <= edge for d in genuine)


def test_a_single_shot_counts_all_draws():
    rng = np.random.default_rng(4)
    people = crops(rng, 40), crops(rng, 60)
    options = Options(protocol="single-shot", repeats=3)
    result = Evaluation(*people, options).rank(MatrixDistances(rng.random((40, 60), np.float32)))
    found = open_set_of(result, options.repeats)
    assert len(found.nearest_right) == len(result.ranking) == 120
    assert found.by_person.genuine_pairs.sum() == result.ranking.positives.sum()
    assert (np.isfinite(found.nearest_right) == result.ranking.valid).all()


def test_rates_below_one_pair_have_no_figure():
    rng = np.random.default_rng(5)
    result, *_ = evaluated(rng, 12, 20)
    assert set(open_set_of(result).figures()) <= {"TPR@FPR=1e-2"}
