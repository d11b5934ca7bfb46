import numpy as np
import pytest

from annotate.suggestions import metric
from annotate.suggestions.metric import PrincipalComponents, group_means, whitening, within


def test_principal_components_are_those_of_the_singular_value_decomposition():
    rng = np.random.default_rng(0)
    vectors = (rng.normal(size=(300, 6)) * [5, 3, 2, 1, 0.5, 0.1] + 7).astype(np.float32)
    found = PrincipalComponents(vectors)
    left, values, _ = np.linalg.svd(vectors - vectors.mean(axis=0), full_matrices=False)
    np.testing.assert_allclose(np.abs(found.of(vectors)), np.abs(left * values), atol=1e-3)
    total = np.trace(found.prior(np.diag([9.0, 0, 0, 0, 0, 0])))
    assert total == pytest.approx(np.square(values).sum() / 300, rel=1e-4)


def test_of_many_directions_the_first_are_kept(monkeypatch):
    monkeypatch.setattr(metric, "_COMPONENTS", 2)
    vectors = (np.random.default_rng(1).normal(size=(200, 5)) * [0.1, 4, 0.1, 9, 0.1]).astype(np.float32)
    found = PrincipalComponents(vectors).of(vectors)
    assert found.shape == (200, 2)
    assert abs(np.corrcoef(found[:, 0], vectors[:, 3])[0, 1]) > 0.99
    assert abs(np.corrcoef(found[:, 1], vectors[:, 1])[0, 1]) > 0.99


def test_with_many_labels_one_persons_tracklets_differ_alike_in_all_directions():
    rng = np.random.default_rng(2)
    mix = rng.normal(size=(4, 4))
    centres = rng.normal(size=(400, 4)) * 10
    vectors = np.repeat(centres, 5, axis=0) + rng.normal(size=(2000, 4)) @ mix
    persons = [list(range(5 * person, 5 * person + 5)) for person in range(400)]
    white = vectors @ whitening(vectors, persons, 1e-6 * np.eye(4))
    deviations = (white.reshape(400, 5, 4) - white.reshape(400, 5, 4).mean(axis=1, keepdims=True)).reshape(-1, 4)
    np.testing.assert_allclose(deviations.T @ deviations / 1600, np.eye(4), atol=0.06)  # 4 of 5 are free to differ


def test_by_hand():
    """One pair that differs by 2 in the first direction: its scatter is 2, against 30 assumptions of 1."""
    vectors = np.array([[1.0, 0], [-1.0, 0], [0, 3.0]])
    found = whitening(vectors, [[0, 1], [2]], np.eye(2))
    lengths = np.linalg.norm(np.eye(2) @ found, axis=1)
    np.testing.assert_allclose(lengths, [1 / np.sqrt(32 / 31), 1 / np.sqrt(30 / 31)], rtol=1e-6)


def test_without_labels_the_prior_becomes_alike_in_all_directions():
    mix = np.random.default_rng(3).normal(size=(3, 3))
    prior = mix @ mix.T + np.eye(3)
    found = whitening(np.zeros((5, 3)), [[0], [1]], prior)
    np.testing.assert_allclose(found.T @ prior @ found, np.eye(3), atol=1e-5)


def test_the_prior_is_what_varies_within_tracklets_and_a_share_of_the_same_in_all_directions(monkeypatch):
    monkeypatch.setattr(metric, "_RIDGE", 0.5)
    vectors = np.random.default_rng(4).normal(size=(500, 2)).astype(np.float32)
    found = PrincipalComponents(vectors)
    directions = np.linalg.svd(vectors - vectors.mean(axis=0), full_matrices=False)[2]
    prior = found.prior(np.diag([4.0, 0.0]))  # mean 2, of which half is added to both: 5 and 1
    expected = directions @ np.diag([5.0, 1.0]) @ directions.T
    assert np.abs(prior / np.trace(prior)) == pytest.approx(np.abs(expected / 6), abs=1e-5)


def test_the_covariance_within_groups_is_that_of_an_analysis_of_variance():
    rng = np.random.default_rng(5)
    groups = [rng.normal(size=(count, 3)) + 100 * rng.normal(size=3) for count in (4, 1, 7, 2)]
    residuals = np.concatenate([each - each.mean(axis=0) for each in groups])
    np.testing.assert_allclose(within(groups), residuals.T @ residuals / (14 - 4), rtol=1e-6)
    assert within([groups[1]]).tolist() == [[0.0]]


def test_the_mean_of_a_small_group_is_drawn_towards_that_of_all(monkeypatch):
    monkeypatch.setattr(metric, "_SHRINK", 2.0)
    vectors = np.array([[0.0], [6.0], [3.0], [3.0], [18.0]], np.float32)
    found = group_means(vectors, np.array([0, 0, 0, 0, 1]))
    assert found[:, 0].tolist() == [4.0] * 4 + [10.0]  # (4 * 3 + 2 * 6) / 6 and (18 + 2 * 6) / 3
