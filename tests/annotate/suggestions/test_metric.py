import numpy as np
import pytest

from annotate.suggestions import metric
from annotate.suggestions.metric import PrincipalComponents, whitening


def test_principal_components_are_those_of_the_singular_value_decomposition():
    rng = np.random.default_rng(0)
    vectors = (rng.normal(size=(300, 6)) * [5, 3, 2, 1, 0.5, 0.1] + 7).astype(np.float32)
    found = PrincipalComponents(vectors)
    left, values, _ = np.linalg.svd(vectors - vectors.mean(axis=0), full_matrices=False)
    np.testing.assert_allclose(np.abs(found.of(vectors)), np.abs(left * values), atol=1e-3)
    assert found.variance == pytest.approx(np.square(values).sum() / 300 / 6, rel=1e-4)


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
    white = vectors @ whitening(vectors, persons, 1e-6)
    deviations = (white.reshape(400, 5, 4) - white.reshape(400, 5, 4).mean(axis=1, keepdims=True)).reshape(-1, 4)
    np.testing.assert_allclose(deviations.T @ deviations / 1600, np.eye(4), atol=0.06)  # 4 of 5 are free to differ


def test_by_hand():
    """One pair that differs by 2 in the first direction: its scatter is 2, against 30 assumptions of 1."""
    vectors = np.array([[1.0, 0], [-1.0, 0], [0, 3.0]])
    found = whitening(vectors, [[0, 1], [2]], 1.0)
    lengths = np.linalg.norm(np.eye(2) @ found, axis=1)
    np.testing.assert_allclose(lengths, [1 / np.sqrt(32 / 31), 1 / np.sqrt(30 / 31)], rtol=1e-6)


def test_without_labels_nothing_is_turned_but_all_scaled():
    found = whitening(np.random.default_rng(3).normal(size=(5, 3)), [[0], [1]], 4.0)
    np.testing.assert_allclose(found @ found.T, np.eye(3) / 4, atol=1e-6)
