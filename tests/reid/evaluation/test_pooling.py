import numpy as np
import pytest

from reid.errors import ReidError
from reid.evaluation.evaluate import Evaluation, Options
from reid.evaluation.pooling import pools_of
from reid.evaluation.protocols import PROTOCOLS, Candidates
from reid.records import Samples


def samples(identities, cameras, tracklets=None):
    tracklets = [-1] * len(identities) if tracklets is None else tracklets
    return Samples(*(np.array(each, np.int64) for each in (identities, cameras, tracklets)))


def points(*rows):
    return np.array(rows, np.float32).reshape(len(rows), -1)


def test_queries_of_one_person_and_camera_are_one_with_what_the_protocol_leaves_out():
    query = samples([1, 2, 1, 1, 0, 0], [1, 1, 1, 2, 1, 1])
    gallery = samples([1, 1, 2, -1, 1], [1, 3, 1, 1, 2])
    pools = pools_of(Candidates(query, gallery, PROTOCOLS["market"]), "multi-query")
    assert pools.of_query.tolist() == [0, 1, 0, 2, 3, 4]  # who is nobody stays alone
    assert pools.query.identities.tolist() == [1, 2, 1, 0, 0]
    assert pools.query.cameras.tolist() == [1, 1, 2, 1, 1]
    assert sorted(map(tuple, pools.also.tolist())) == [(0, 0), (1, 2), (2, 4)]
    own, others = pools.features(points(3, 10, 6, 20, 30, 40), points(9, 1, 20, 5, 40), "euclidean")
    assert own.ravel().tolist() == [(3 + 6 + 9) / 3, (10 + 20) / 2, (20 + 40) / 2, 30, 40]
    assert others.ravel().tolist() == [9, 1, 20, 5, 40]


def test_by_the_protocol_tracklet_queries_of_one_tracklet_are_one():
    query, gallery = samples([1, 1, 1], [1, 1, 1], [7, 8, 7]), samples([1, 1, 2], [1, 1, 1], [8, 9, 5])
    pools = pools_of(Candidates(query, gallery, PROTOCOLS["tracklet"]), "multi-query")
    assert pools.of_query.tolist() == [0, 1, 0]
    assert pools.also.tolist() == [[1, 0]]


def test_tracklets_are_one_on_both_sides_and_crops_without_stay_alone():
    query, gallery = (
        samples([1, 1, 2], [1, 1, 1], [4, 4, -1]),
        samples([1, 0, 0, 1, 0], [2, 2, 2, 2, 2], [5, -1, -1, 5, 6]),
    )
    pools = pools_of(Candidates(query, gallery, PROTOCOLS["market"]), "tracklets")
    assert pools.of_query.tolist() == [0, 0, 1]
    assert pools.of_gallery.tolist() == [0, 1, 2, 0, 3]
    assert pools.gallery.tracklets.tolist() == [5, -1, -1, 6]
    _, others = pools.features(points(1, 2, 3), points(1, 2, 3, 4, 5), "euclidean")
    assert others.ravel().tolist() == [2.5, 2, 3, 5]


@pytest.mark.parametrize(("metric", "scale"), [("euclidean", 1), ("cosine", 5)])
def test_the_mean_of_directions_is_one(metric, scale):
    query, gallery = samples([1], [1], [1]), samples([1, 1], [2, 2], [2, 2])
    pools = pools_of(Candidates(query, gallery, PROTOCOLS["market"]), "tracklets")
    _, others = pools.features(points([0, 1]), points([scale, 0], [0, 1]), metric)
    np.testing.assert_allclose(others, [[0.5**0.5, 0.5**0.5]], rtol=1e-6)


def test_a_pooled_evaluation_is_one_of_the_means():
    rng = np.random.default_rng(0)
    identities = np.repeat(np.arange(1, 6), 6)
    query, gallery = (
        samples(identities, np.full(30, camera), np.repeat(np.arange(10), 3) + 10 * camera) for camera in (1, 2)
    )
    own, others = (
        np.eye(6)[identities].astype(np.float32) + rng.normal(0, 0.8, (30, 6)).astype(np.float32) for _ in range(2)
    )
    found = Evaluation(query, gallery, Options(pooling="tracklets"))(own, others)
    means = [each.reshape(10, 3, 6).mean(axis=1) for each in (own, others)]
    by_hand = Evaluation(*(samples(identities[::3], np.full(10, camera)) for camera in (1, 2)), Options())(*means)
    assert found.figures == pytest.approx(by_hand.figures)
    assert found.counts["queries"] == 10
    assert found.figures["mAP"] > Evaluation(query, gallery, Options())(own, others).figures["mAP"]
    many = Evaluation(query, gallery, Options(pooling="multi-query"))(own, others)
    assert many.counts == {**many.counts, "queries": 5, "gallery": 30}


def test_unknown_tracklets_are_said():
    with pytest.raises(ReidError, match="no tracklet is known; give the crops as a CSV with a column 'tracklet'"):
        Evaluation(samples([1], [1]), samples([1], [2]), Options(pooling="tracklets"))
