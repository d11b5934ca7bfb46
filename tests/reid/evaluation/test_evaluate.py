from functools import partial

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from reid.errors import ReidError
from reid.evaluation.distances import FeatureDistances, MatrixDistances
from reid.evaluation.evaluate import Evaluation, Options
from reid.evaluation.protocols import PROTOCOLS, Candidates, Pairs, Rivals
from reid.evaluation.torch_distances import TorchDistances
from reid.records import Samples
from tests.reid.evaluation.brute_force import evaluate, left_out, ranked

LARGE = 10**6  # an identity that many more would have between
NONE = np.zeros(0, np.int64)
RULES = ["market", "flight", "tracklet", "strict"]


def samples(identities, cameras=None, tracklets=None):
    count = len(identities)
    columns = (identities, [1] * count if cameras is None else cameras, tracklets or [-1] * count)
    return Samples(*(np.array(values, np.int64) for values in columns))


@st.composite
def crops(draw, most, cameras):
    identities = draw(st.lists(st.sampled_from([-1, 0, 1, 2, LARGE]), min_size=1, max_size=most))
    several = [
        draw(st.lists(st.integers(0, high), min_size=len(identities), max_size=len(identities)))
        for high in (cameras, 4)
    ]
    points = draw(
        st.lists(
            st.tuples(st.integers(0, 2), st.integers(0, 1)), min_size=len(identities), max_size=len(identities)
        )
    )
    return samples(identities, *several), np.array(points, np.float32)


@st.composite
def cases(draw):
    """Few crops on a grid of six points: ties are the rule; junk, distractors, one camera or several."""
    cameras = draw(st.integers(0, 2))
    return draw(crops(5, cameras)), draw(crops(25, cameras))


def squares(query, gallery):
    return ((query[:, None] - gallery[None]) ** 2).sum(axis=2)


@pytest.mark.parametrize("protocol", RULES)
@pytest.mark.parametrize("form", ["step", "trapezoid"])
@settings(max_examples=60, deadline=None)
@given(case=cases())
def test_it_equals_an_evaluator_written_in_loops(protocol, form, case):
    (query, query_points), (gallery, gallery_points) = case
    distances = squares(query_points, gallery_points)
    expected = evaluate(distances, query, gallery, protocol)
    options = Options(protocol=protocol, average_precision=form)
    if not any(expected):
        with pytest.raises(ReidError):
            Evaluation(query, gallery, options)
        return
    try:
        result = Evaluation(query, gallery, options)(query_points, gallery_points)
    except ReidError as error:
        assume("are of one tracklet" not in str(error))
        raise
    ranking = result.ranking
    for q, rating in enumerate(expected):
        if rating is None:
            assert ranking.positives[q] == ranking.first_hit[q] == 0
            assert np.isnan(ranking.average_precision[q])
            continue
        step, trapezoid, first, penalty, positives = rating
        assert ranking.average_precision[q] == pytest.approx(step if form == "step" else trapezoid)
        assert (ranking.first_hit[q], ranking.positives[q]) == (first, positives)
        assert ranking.inverse_negative_penalty[q] == pytest.approx(penalty)
    rated = [rating for rating in expected if rating]
    assert result.figures["mINP"] == pytest.approx(np.mean([rating[3] for rating in rated]))
    for rank in (1, 5, 10, 20):
        assert result.figures[f"rank-{rank}"] == pytest.approx(np.mean([rating[2] <= rank for rating in rated]))
    assert result.counts["queries_skipped"] == expected.count(None)


@settings(max_examples=60, deadline=None)
@given(
    case=cases(), protocol=st.sampled_from([*RULES, "single-shot"]), metric=st.sampled_from(["euclidean", "cosine"])
)
def test_torch_ranks_as_numpy_does(case, protocol, metric):
    (query, query_points), (gallery, gallery_points) = case
    query_points, gallery_points = query_points + 1, gallery_points + 1  # nobody at the origin
    candidates = Candidates(query, gallery, PROTOCOLS[protocol])
    rivals = candidates.between(0, len(query), 1)
    ours = FeatureDistances(query_points, gallery_points, metric)
    torchs = TorchDistances(query_points, gallery_points, metric, device="cpu")
    np.testing.assert_allclose(torchs.rows(0, len(query)), ours.rows(0, len(query)), atol=1e-6)
    if metric == "euclidean":  # whole numbers: no rounding parts what is equal
        assert torchs.ranks(0, len(query), rivals).tolist() == ours.ranks(0, len(query), rivals).tolist()


@pytest.mark.parametrize("ranks_on", [FeatureDistances, partial(TorchDistances, device="cpu")])
@pytest.mark.parametrize("clusters", [1, 2, 40])
def test_small_distances_between_long_features_keep_their_order(ranks_on, clusters):
    # |q|² + |g|² - 2 q·g alone gives 0.71 for 0.046, and 0 for 0.091: both are below the rounding of 1,100².
    rng = np.random.default_rng(4)
    centres = 1100 / np.sqrt(256) * rng.standard_normal((clusters, 256))
    gallery = (centres[np.arange(80) % clusters] + 0.003 * rng.standard_normal((80, 256))).astype(np.float32)
    gallery[80 // 2] = gallery[0]
    query = (centres[np.arange(8) % clusters] + 0.003 * rng.standard_normal((8, 256))).astype(np.float32)
    query[0] = gallery[0]
    exact = np.sqrt(squares(query.astype(np.float64), gallery.astype(np.float64)))
    assert 0.02 < exact[1][np.arange(80) % clusters == 1 % clusters].max() < 0.1
    distances = ranks_on(query, gallery)
    np.testing.assert_allclose(distances.unit(distances.rows(0, 8)), exact, rtol=1e-4)
    nearest = distances.nearest(0, 8, 80 // clusters, Rivals(Pairs(NONE, NONE), Pairs(NONE, NONE), NONE))
    for (places, values), expected in zip(nearest, exact, strict=True):
        assert places.tolist() == np.argsort(expected, kind="stable")[: 80 // clusters].tolist()
        np.testing.assert_allclose(values, expected[places], rtol=1e-5)
    assert distances.rows(0, 1)[0][[0, 40]].tolist() == [0, 0]


@settings(max_examples=60, deadline=None)
@given(case=cases(), repeat=st.integers(0, 3))
def test_single_shot_draws_one_crop_of_each_person(case, repeat):
    (query, query_points), (gallery, gallery_points) = case
    distances = squares(query_points, gallery_points)
    rivals = Candidates(query, gallery, PROTOCOLS["single-shot"], seed=3).between(0, len(query), repeat)
    ranks = FeatureDistances(query_points, gallery_points).ranks(0, len(query), rivals)
    pairs = list(zip(rivals.positives.rows, rivals.positives.columns, ranks, strict=True))
    assert len({q for q, _, _ in pairs}) == len(pairs)
    for q in range(len(query)):
        out = left_out(query, gallery, q, "single-shot")
        right = {
            g for g in range(len(gallery)) if g not in out and gallery.identities[g] == query.identities[q] > 0
        }
        mine = [(g, rank) for row, g, rank in pairs if row == q]
        assert len(mine) == bool(right)
        if not right:
            continue
        (chosen, rank), excluded = mine[0], rivals.excluded
        assert chosen in right
        absent = set(rivals.absent) | set(excluded.columns[excluded.rows == q])
        present = ranked(distances[q], absent - {chosen})
        drawn = gallery.identities[[g for g in present if gallery.identities[g] > 0]]
        assert sorted(drawn) == sorted(set(gallery.identities[gallery.identities > 0]))
        assert np.count_nonzero(gallery.identities[present] == 0) == np.count_nonzero(gallery.identities == 0)
        assert rank == 1 + present.index(chosen)


def test_single_shot_draws_anew_each_time_and_the_same_with_one_seed():
    query, gallery = samples([1], [1]), samples([1, 1, 1, 2, 2], [2, 2, 2, 2, 2])
    points = np.array([[1], [2], [3], [0], [9]], np.float32)

    def first_hits(seed):
        options = Options(protocol="single-shot", repeats=200, seed=seed)
        result = Evaluation(query, gallery, options)(np.zeros((1, 1), np.float32), points)
        return result.ranking.first_hit

    hits = first_hits(0)
    assert len(hits) == 200
    assert abs(np.mean(hits == 1) - 0.5) < 0.15  # rank 1 unless the nearer one of person 2 is drawn
    assert (first_hits(0) == hits).all()
    assert (first_hits(1) != hits).any()
    chosen = {
        int(Candidates(query, gallery, PROTOCOLS["single-shot"]).between(0, 1, repeat).positives.columns[0])
        for repeat in range(30)
    }
    assert chosen == {0, 1, 2}


def test_blocks_make_no_difference(monkeypatch):
    rng = np.random.default_rng(0)
    query, gallery = (samples(rng.integers(-1, 6, n), rng.integers(0, 3, n)) for n in (23, 41))
    matrix = rng.random((23, 41), np.float32)
    whole = Evaluation(query, gallery, Options()).rank(MatrixDistances(matrix))
    monkeypatch.setattr("reid.evaluation.distances._BLOCK_BYTES", 4 * 41 * 3)
    blocks = Evaluation(query, gallery, Options()).rank(MatrixDistances(matrix))
    assert blocks.figures == whole.figures
    np.testing.assert_array_equal(blocks.ranking.first_hit, whole.ranking.first_hit)


def test_a_tie_is_never_broken_in_favour_of_the_match():
    query, gallery = samples([1], [1]), samples([2, 1, 3], [2, 2, 2])
    result = Evaluation(query, gallery, Options())(np.zeros((1, 4), np.float32), np.zeros((3, 4), np.float32))
    assert result.figures == pytest.approx(
        {"mAP": 0.5, "mINP": 0.5, "rank-1": 0, "rank-5": 1, "rank-10": 1, "rank-20": 1}
    )


def test_the_nearest_are_those_that_take_part():
    query, gallery = samples([1], [1]), samples([1, -1, 0, 1, 2], [1, 2, 2, 2, 2])
    points = np.array([[0], [1], [4], [3], [2]], np.float32)
    result = Evaluation(query, gallery, Options())(np.zeros((1, 1), np.float32), points)
    columns, distances = result.nearest(0, 10)
    assert columns.tolist() == [4, 3, 2]
    assert distances.tolist() == [2, 3, 4]
    assert result.nearest(0, 2)[0].tolist() == [4, 3]


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_a_feature_that_is_no_number_is_named(value):
    good, bad = np.ones((3, 4), np.float32), np.ones((5, 4), np.float32)
    bad[3, 2] = value
    evaluation = Evaluation(samples([1, 1, 1], [1, 1, 1]), samples([1] * 5, [2] * 5), Options())
    with pytest.raises(ReidError, match=r"g\.npy row 3: not a finite number"):
        evaluation(good, bad, ("q.npy", "g.npy"))
    with pytest.raises(ReidError, match="distances row 1"):
        MatrixDistances(np.array([[1, 2], [3, np.nan]], np.float32))


@pytest.mark.parametrize(
    ("query", "gallery", "metric", "complaint"),
    [
        (np.ones((2, 4), np.float32), np.ones((2, 5), np.float32), "euclidean", "features of 4 numbers"),
        (np.ones((2, 4), np.float32), np.ones((2, 4)), "euclidean", "gallery: expected float32"),
        (np.ones((2, 4), np.float32), np.eye(2, 4, -1, np.float32), "cosine", "gallery row 0: all zeros"),
        (np.ones((3, 4), np.float32), np.ones((2, 4), np.float32), "euclidean", "3 features for 2 crops"),
    ],
)
def test_features_of_another_kind_are_refused(query, gallery, metric, complaint):
    evaluation = Evaluation(samples([1, 2], [1, 1]), samples([1, 2], [2, 2]), Options(metric=metric))
    with pytest.raises(ReidError, match=complaint):
        evaluation(query, gallery)


def test_a_protocol_that_leaves_nothing_says_so():
    one_camera = samples([1, 2], tracklets=[0, 1]), samples([1, 2, 2], tracklets=[2, 3, 1])
    with pytest.raises(ReidError, match=r"leaves no query a right answer.*'tracklet'"):
        Evaluation(*one_camera, Options())
    ranked = Evaluation(*one_camera, Options(protocol="tracklet"))
    assert ranked(np.eye(2, dtype=np.float32), np.eye(3, 2, dtype=np.float32)).counts["queries_skipped"] == 0
    one_tracklet = samples([1, 2], tracklets=[0, 1]), samples([1, 2], tracklets=[0, 1])
    with pytest.raises(
        ReidError, match=r"one tracklet a sequence: give the crops as a CSV with a column 'tracklet'"
    ):
        Evaluation(*one_tracklet, Options(protocol="tracklet"))
    with pytest.raises(ReidError, match="needs every crop's tracklet; gallery lacks 1, the first at row 1"):
        Evaluation(samples([1], tracklets=[0]), samples([1, 1], tracklets=[1, -1]), Options(protocol="tracklet"))
    with pytest.raises(ReidError, match="none of the 1 queries' persons is in the gallery"):
        Evaluation(samples([1]), samples([2]), Options())


def test_the_nearest_of_all_queries_are_those_of_each_and_of_a_plain_sort():
    rng = np.random.default_rng(5)
    query, gallery = (samples(rng.integers(1, 6, n), rng.integers(1, 4, n)) for n in (23, 90))
    features = [rng.integers(0, 3, (n, 2)).astype(np.float32) for n in (23, 90)]  # many equal distances
    result = Evaluation(query, gallery, Options())(*features)
    found = list(result.all_nearest(7))
    assert len(found) == 23
    for row, (columns, distances) in enumerate(found):
        absent = (gallery.identities == query.identities[row]) & (gallery.cameras == query.cameras[row])
        exact = np.linalg.norm(features[1] - features[0][row], axis=1)
        exact[absent] = np.inf
        assert (
            columns.tolist() == np.argsort(exact, kind="stable")[:7].tolist() == result.nearest(row, 7)[0].tolist()
        )
        assert distances == pytest.approx(exact[columns], abs=1e-5)
