import torch

from detector.training.sampling import NumberedSampler


def drawn(sampler, seeds, labels):
    sampler.seeds = seeds
    return sampler(labels)


def test_an_image_is_sampled_alike_in_any_batch():
    labels = [torch.randint(-1, 2, (200,), generator=torch.Generator().manual_seed(seed)) for seed in range(4)]
    sampler = NumberedSampler(32, 0.25)
    together = drawn(sampler, [5, 6, 7, 8], labels)
    halves = [drawn(sampler, [5, 7], labels[::2]), drawn(sampler, [6, 8], labels[1::2])]
    for kind in (0, 1):
        for place, mask in enumerate(together[kind]):
            assert torch.equal(mask, halves[place % 2][kind][place // 2])
    assert all(mask.sum() == 8 for mask in together[0])
    assert all(mask.sum() == 24 for mask in together[1])


def test_another_seed_draws_others():
    labels = [torch.zeros(500, dtype=torch.int64)]
    sampler = NumberedSampler(32, 0.25)
    first, second = drawn(sampler, [1], labels)[1][0], drawn(sampler, [2], labels)[1][0]
    assert not torch.equal(first, second)
