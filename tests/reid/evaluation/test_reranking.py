import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reid.errors import ReidError
from reid.evaluation.distances import FeatureDistances
from reid.evaluation.reranking import RerankedDistances, Reranking


def by_the_paper(query, gallery, k1, k2, weight):
    """Zhong et al. 2017 with sets and dictionaries, equation by equation."""
    points = np.concatenate([query, gallery]).astype(float)
    original = ((points[:, None] - points[None]) ** 2).sum(axis=2)
    original /= original.max(axis=1, keepdims=True)
    everybody = range(len(points))
    order = [sorted(everybody, key=lambda j: (j != i, original[i, j], j)) for i in everybody]

    def mutual(i, k):
        return {j for j in order[i][: k + 1] if i in order[j][: k + 1]}

    encodings = []
    for i in everybody:
        members = mutual(i, k1)
        for j in list(members):
            half = mutual(j, round(k1 / 2))
            if len(half & mutual(i, k1)) > 2 / 3 * len(half):
                members = members | half
        weights = {j: np.exp(-original[i, j]) for j in members}
        encodings.append({j: value / sum(weights.values()) for j, value in weights.items()})
    averaged = [{j: np.mean([encodings[n].get(j, 0) for n in order[i][:k2]]) for j in everybody} for i in everybody]
    result = np.empty((len(query), len(gallery)))
    for i in range(len(query)):
        for g in range(len(gallery)):
            other = averaged[len(query) + g]
            shared = sum(min(averaged[i][j], other[j]) for j in everybody)
            joint = sum(max(averaged[i][j], other[j]) for j in everybody)
            result[i, g] = (1 - weight) * (1 - shared / joint) + weight * original[i, len(query) + g]
    return result


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    sizes=st.tuples(st.integers(1, 6), st.integers(2, 15)),
    settings_=st.builds(Reranking, st.integers(1, 8), st.integers(1, 5), st.sampled_from([0, 0.3, 1])),
)
def test_it_follows_the_papers_equations(seed, sizes, settings_):
    rng = np.random.default_rng(seed)
    query, gallery = (rng.normal(size=(size, 3)).astype(np.float32) for size in sizes)
    ours = RerankedDistances(query, gallery, "euclidean", settings_, np.zeros(0, np.int64))
    expected = by_the_paper(query, gallery, settings_.k1, settings_.k2, settings_.weight)
    np.testing.assert_allclose(ours.rows(0, len(query)), expected, atol=1e-5)


def test_absent_crops_take_no_part():
    rng = np.random.default_rng(0)
    query, gallery = rng.normal(size=(3, 4)).astype(np.float32), rng.normal(size=(9, 4)).astype(np.float32)
    settings = Reranking(k1=3, k2=2)
    kept = np.array([0, 2, 3, 4, 6, 7, 8])
    some = RerankedDistances(query, gallery, "euclidean", settings, np.array([1, 5])).rows(1, 3)
    only = RerankedDistances(query, gallery[kept], "euclidean", settings, np.zeros(0, np.int64)).rows(1, 3)
    np.testing.assert_array_equal(some[:, kept], only)
    assert np.isinf(some[:, [1, 5]]).all()


def test_cosine_is_euclidean_between_directions():
    rng = np.random.default_rng(1)
    query, gallery = rng.normal(size=(4, 8)).astype(np.float32), rng.normal(size=(12, 8)).astype(np.float32)
    directions = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (query, gallery)]
    none = np.zeros(0, np.int64)
    cosine = RerankedDistances(query, gallery, "cosine", Reranking(k1=4), none).rows(0, 4)
    euclidean = RerankedDistances(*directions, "euclidean", Reranking(k1=4), none).rows(0, 4)
    np.testing.assert_allclose(cosine, euclidean, atol=1e-5)


def test_its_complaints_name_the_rows_of_the_files():
    good, bad = np.ones((3, 2), np.float32), np.full((2, 2), np.nan, np.float32)
    with pytest.raises(ReidError, match="gallery row 0"):
        RerankedDistances(good, bad, "euclidean", Reranking(), np.zeros(0, np.int64))
    with pytest.raises(ReidError, match="expected k1 and k2 from 1 up"):
        Reranking(k1=0)
    assert FeatureDistances(good, good).shape == (3, 3)
