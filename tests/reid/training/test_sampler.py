from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reid.errors import ReidError
from reid.training.sampler import PKSampler, share


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 7), min_size=2, max_size=12),
    st.integers(2, 8),
    st.integers(1, 5),
    st.integers(0, 200),
    st.randoms(use_true_random=False),
)
def test_a_batch_has_p_persons_with_k_images_each(counts, identities, images, iteration, random):
    labels = [person for person, count in enumerate(counts) for _ in range(count)]
    random.shuffle(labels)
    labels = np.array(labels, np.int64)
    sampler = PKSampler(labels, identities=identities, images=images, seed=3)
    batch = sampler.batch(iteration)
    persons = Counter(labels[batch].tolist())
    assert len(batch) == sampler.batch_size
    assert len(persons) == min(identities, len(counts))
    assert set(persons.values()) == {images}
    for person in persons:
        drawn = Counter(number for number in batch.tolist() if labels[number] == person)
        # Nothing comes again before everything came.
        assert len(drawn) == min(images, counts[person])
        assert max(drawn.values()) - min(drawn.values()) <= 1


def test_a_batch_depends_on_seed_and_iteration_alone():
    labels = np.repeat(np.arange(10), 6)
    first, second = (PKSampler(labels, identities=4, images=3, seed=1) for _ in range(2))
    for iteration in (7, 0, 3):
        assert np.array_equal(first.batch(iteration), second.batch(iteration))
    assert not np.array_equal(first.batch(1), first.batch(2))
    other = PKSampler(labels, identities=4, images=3, seed=2)
    assert not np.array_equal(first.batch(1), other.batch(1))


def test_everybody_comes_once_an_epoch():
    labels = np.repeat(np.arange(12), 5)
    sampler = PKSampler(labels, identities=4, images=2, seed=1)
    for epoch in range(3):
        seen = np.concatenate([np.unique(labels[sampler.batch(3 * epoch + place)]) for place in range(3)])
        assert sorted(seen) == list(range(12))


def test_few_identities_make_small_batches_and_a_line_in_the_log(caplog):
    sampler = PKSampler(np.repeat(np.arange(20), 3), identities=32, images=4, seed=0)
    assert sampler.batch_size == 80
    assert len(sampler.batch(1000)) == 80
    assert "should have 32 identities, the data have 20: batches of 20 x 4 instead" in caplog.text


def test_one_identity_is_an_error():
    with pytest.raises(ReidError, match="at least 2 identities, found 1"):
        PKSampler(np.zeros(9, np.int64), identities=32, images=4, seed=0)
    with pytest.raises(ReidError, match="at least 2 identities, found 0"):
        PKSampler(np.zeros(0, np.int64), identities=32, images=4, seed=0)


def test_shares_make_the_whole_batch():
    parts = [np.arange(12)[share(12, process, 3)] for process in range(3)]
    assert np.concatenate(parts).tolist() == list(range(12))
    with pytest.raises(ReidError, match="12 images does not divide among 5"):
        share(12, 0, 5)
