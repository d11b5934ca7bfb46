"""Ranks by counting, against whole numbers in Python, whose distances do not round."""

from functools import partial
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reid.evaluation import distances
from reid.evaluation.distances import FeatureDistances
from reid.evaluation.protocols import PROTOCOLS, Candidates
from reid.evaluation.torch_distances import TorchDistances
from reid.records import Samples
from tests.reid.evaluation.brute_force import ranked

ON = {"numpy": FeatureDistances, "torch": partial(TorchDistances, device="cpu")}


def crops(rng, count):
    tracklets = rng.integers(0, 4, count)
    return Samples(rng.choice([-1, 0, 1, 1, 1, 2], count), rng.integers(0, 3, count), tracklets)


def features(rng, count, dimension, spread, offset):
    """Whole numbers about `offset`; every third row is a copy of the first, or differs in one number by 1."""
    rows = offset + rng.integers(-spread, spread + 1, (count, dimension))
    rows[::3] = rows[0]
    rows[::6, -1] += rng.integers(0, 2, len(rows[::6]))
    return rows


def in_parts(queries, size):
    """Gallery crops are compared `size` at a time, products summed over 3 numbers, features read 2 at a time."""
    sizes = {"_PART_BYTES": 4 * size * queries, "SLICE": 3, "_BLOCK_BYTES": 64, "_CACHED_BYTES": 64, "_QUERIES": 6}
    return mock.patch.multiple(distances, **sizes)


def check(engine, metric, own, others, exact, rivals, size):
    """Ranks, and the first four, are those of a sort of `exact`."""
    with in_parts(len(own), size):
        found = ON[engine](own.astype(np.float32), others.astype(np.float32), metric)
        ranks = found.ranks(0, len(own), rivals)
        nearest = [columns.tolist() for columns, _ in found.nearest(0, len(own), 4, rivals)]
    for q in range(len(own)):
        mine = np.flatnonzero(rivals.positives.rows == q)
        right = rivals.positives.columns[mine]
        absent = {*rivals.absent, *rivals.excluded.columns[rivals.excluded.rows == q]} - {*right}
        order = ranked(exact[q], absent)
        assert ranks[mine].tolist() == [1 + order.index(column) for column in right]
        assert nearest[q] == order[:4]


@pytest.mark.parametrize("engine", ON)
@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    protocol=st.sampled_from([*PROTOCOLS]),
    dimension=st.sampled_from([1, 2, 7, 40]),
    # Squared lengths of up to 1e12, squared distances that differ by 1: float32 has seven digits.
    spread_offset=st.sampled_from([(1, 0), (1, 200_000), (1000, 0), (1000, 30_000), (0, 0), (0, 5)]),
    size=st.sampled_from([1, 2, 5, 13, 64]),
)
def test_ranks_are_those_of_exact_distances(engine, seed, protocol, dimension, spread_offset, size):
    rng = np.random.default_rng(seed)
    query, gallery = crops(rng, 6), crops(rng, int(rng.integers(1, 50)))
    both = features(rng, 6 + len(gallery), dimension, *spread_offset)
    own, others = both[:6], both[6:]
    exact = [[int(((a.astype(object) - b) ** 2).sum()) for b in others] for a in own]
    rivals = Candidates(query, gallery, PROTOCOLS[protocol]).between(0, 6, 1)
    check(engine, "euclidean", own, others, exact, rivals, size)


@pytest.mark.parametrize("engine", ON)
@pytest.mark.parametrize("size", [1, 7, 64])
def test_angles_too(engine, size):
    rng = np.random.default_rng(size)
    query, gallery = crops(rng, 6), crops(rng, 40)
    # Directions that differ by about 1e-5, cosines by 1e-10; float32 has steps of 6e-8 below 1.
    own, others = (1 + 1e-5 * rng.standard_normal((n, 8)).astype(np.float32) for n in (6, 40))
    others[5:12] = 4 * others[3]
    lengths = [np.linalg.norm(each.astype(np.float64), axis=1, keepdims=True) for each in (own, others)]
    exact = ((own / lengths[0])[:, None] - (others / lengths[1])) ** 2
    exact = exact.sum(axis=2)
    rivals = Candidates(query, gallery, PROTOCOLS["market"]).between(0, 6)
    assert len(rivals.positives) > 10
    check(engine, "cosine", own, others, exact, rivals, size)
