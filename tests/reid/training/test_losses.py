import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reid.config import CrossEntropyConfig, LGMConfig, LossConfig, TripletConfig
from reid.network import Embedded
from reid.training.losses import (
    LGMLoss,
    ReidLoss,
    diagnose,
    distillation_loss,
    guesses,
    hardest,
    has_collapsed,
    lgm_distances,
    lgm_loss,
    pairwise_distances,
    triplet_losses,
)


def batch(seed, n=8, d=5, identities=3):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % identities
    return torch.randn(n, d, generator=generator, dtype=torch.float64), labels


def batch_hard(embeddings, labels, margin):
    """Hermans et al. 2017, equation 5, an anchor after the other."""
    rows, names = embeddings.tolist(), labels.tolist()
    losses = []
    for anchor, name in zip(rows, names, strict=True):
        positive = max(math.dist(anchor, row) for row, other in zip(rows, names, strict=True) if other == name)
        negative = min(math.dist(anchor, row) for row, other in zip(rows, names, strict=True) if other != name)
        if margin is None:
            losses.append(math.log1p(math.exp(positive - negative)))
        else:
            losses.append(max(0.0, margin + positive - negative))
    return losses


def mixture(embeddings, labels, means, variances, margin):
    """Wan et al. 2018, equations 5, 8 and 9, with densities written out and no logarithm simplified."""
    classification = likelihood = 0.0
    for x, z in zip(embeddings.tolist(), labels.tolist(), strict=True):
        scores = []
        for k, (mean, variance) in enumerate(zip(means.tolist(), variances.tolist(), strict=True)):
            distance = sum((a - b) ** 2 / v for a, b, v in zip(x, mean, variance, strict=True)) / 2
            added = margin * distance if k == z else 0.0
            scores.append(math.prod(variance) ** -0.5 * math.exp(-distance - added))
            if k == z:
                density = math.prod(variance) ** -0.5 * math.exp(-distance)
        classification -= math.log(scores[z] / sum(scores))
        likelihood -= math.log(density)
    return classification / len(labels), likelihood / len(labels)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 10_000),
    st.integers(4, 12),
    st.integers(1, 6),
    st.integers(2, 4),
    st.sampled_from([0.1, 0.3, 2.0, None]),
)
def test_batch_hard_as_written_out(seed, n, d, identities, margin):
    embeddings, labels = batch(seed, n, d, identities)
    losses = triplet_losses(*hardest(pairwise_distances(embeddings), labels), margin)
    assert losses.tolist() == pytest.approx(batch_hard(embeddings, labels, margin), abs=1e-10)


@pytest.fixture
def authors():
    """The batch on which the authors' own TensorFlow code gave the numbers below: x (8, 4), labels, means (5, 4).

    It ran as it stands, under TensorFlow 2.21 in its version-1 mode, in float32: `cdist` and `batch_hard` of
    github.com/VisualComputingInstitute/triplet-reid at a538696, `lgm_logits` of github.com/WeitaoVan/L-GM-loss at
    598582f with alpha and lambda 0.5.
    """
    draw = np.random.default_rng(4)
    values = draw.normal(0, 3, (8, 4)), draw.normal(size=(5, 4))
    x, means = (torch.tensor(value.astype(np.float32), requires_grad=True) for value in values)
    return x, torch.arange(8) // 4, means


@pytest.mark.parametrize(
    ("margin", "theirs"),
    [
        (0.1, [6.5593209, 4.5484672, 1.7260928, 1.1442518, 8.9071617, 3.1191635, 3.0017929, 3.5996523]),
        (None, [6.4608846, 4.4600954, 1.8056575, 1.3458033, 8.8073111, 3.0668504, 2.9552619, 3.5294125]),
    ],
)
def test_batch_hard_is_its_authors(authors, margin, theirs):
    losses = triplet_losses(*hardest(pairwise_distances(authors[0]), authors[1]), margin)
    assert losses.tolist() == pytest.approx(theirs, rel=1e-6)


def test_the_mixture_is_its_authors(authors):
    x, labels, means = authors
    classification, likelihood = lgm_loss(x, labels, means, margin=0.5)
    assert classification.item() == pytest.approx(9.586407, rel=1e-6)
    assert 0.5 * likelihood.item() == pytest.approx(8.867933, rel=1e-6)
    (classification + 0.5 * likelihood).backward()
    assert x.grad[0].tolist() == pytest.approx([0.02585296, -0.37529489, 0.54123569, -0.01827563], abs=2e-6)
    assert means.grad[1].tolist() == pytest.approx([1.1939809, 1.672875, -0.59874183, 1.0972521], rel=2e-6)


def test_batch_hard_by_hand():
    # On a line: A at 0 and 1, B at 3 and 7.
    embeddings, labels = torch.tensor([[0.0], [1.0], [3.0], [7.0]]), torch.tensor([0, 0, 1, 1])
    positive, negative = hardest(pairwise_distances(embeddings), labels)
    assert positive.tolist() == [1, 1, 4, 4]
    assert negative.tolist() == [3, 2, 2, 6]
    assert triplet_losses(positive, negative, 1.5).tolist() == [0, 0.5, 3.5, 0]


def test_an_anchor_without_another_image_is_its_own_positive():
    embeddings, labels = torch.tensor([[0.0], [2.0], [5.0]]), torch.tensor([0, 1, 1])
    positive, negative = hardest(pairwise_distances(embeddings), labels)
    assert positive.tolist() == [0, 3, 3]
    assert negative.tolist() == [2, 2, 5]


def test_without_another_identity_negatives_are_infinitely_far():
    positive, negative = hardest(torch.ones(3, 3), torch.zeros(3, dtype=torch.int64))
    assert (positive.tolist(), negative.tolist()) == ([1, 1, 1], [math.inf] * 3)


@pytest.mark.parametrize("margin", [0.3, 5.0, None])
def test_gradient_of_the_triplet_loss(margin):
    embeddings, labels = batch(3)

    def loss(values):
        return triplet_losses(*hardest(pairwise_distances(values), labels), margin).mean()

    assert torch.autograd.gradcheck(loss, embeddings.requires_grad_())


@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("margin", [0.0, 0.3, 1.0])
def test_mixture_as_written_out(learned, margin):
    embeddings, labels = batch(5, n=9, d=4, identities=3)
    generator = torch.Generator().manual_seed(1)
    means = torch.randn(4, 4, generator=generator, dtype=torch.float64)
    variances = torch.rand(4, 4, generator=generator, dtype=torch.float64) + 0.3
    if not learned:
        variances = torch.ones_like(variances)
    expected = mixture(embeddings, labels, means, variances, margin)
    parts = lgm_loss(embeddings, labels, means, variances if learned else None, margin=margin)
    assert [float(part) for part in parts] == pytest.approx(expected, abs=1e-10)


def test_mixture_by_hand():
    # x = 1 between the means 0 and 3: d = 1/2 and 2; with margin 1 the own distance counts twice.
    x, labels = torch.tensor([[1.0]]), torch.tensor([0])
    means = torch.tensor([[0.0], [3.0]])
    assert lgm_distances(x, means).tolist() == [[0.5, 2.0]]
    classification, likelihood = lgm_loss(x, labels, means, margin=1.0)
    assert float(classification) == pytest.approx(math.log(1 + math.exp(-2 + 1)))
    assert float(likelihood) == pytest.approx(0.5)
    # Variance 4 for the own class: d = 1/8, half the logarithm of 4 is log 2.
    classification, likelihood = lgm_loss(x, labels, means, torch.tensor([[4.0], [1.0]]), margin=0.0)
    assert float(likelihood) == pytest.approx(1 / 8 + math.log(2))
    assert float(classification) == pytest.approx(math.log(1 + math.exp(-2 + 1 / 8 + math.log(2))))


def test_identity_covariance_is_variance_one():
    embeddings, labels = batch(6)
    means = embeddings[:3] + 1
    plain = lgm_loss(embeddings, labels, means, margin=0.3)
    ones = lgm_loss(embeddings, labels, means, torch.ones_like(means), margin=0.3)
    torch.testing.assert_close(plain, ones)


@pytest.mark.parametrize("learned", [False, True])
def test_gradient_of_the_mixture(learned):
    embeddings, labels = batch(7, n=6, d=3)
    means = batch(8, n=3, d=3)[0].requires_grad_()
    logs = (0.1 * batch(9, n=3, d=3)[0]).requires_grad_()

    def loss(values, means, logs):
        parts = lgm_loss(values, labels, means, logs.exp() if learned else None, margin=0.3)
        return parts[0] + 0.1 * parts[1] + 0 * logs.sum()

    assert torch.autograd.gradcheck(loss, (embeddings.requires_grad_(), means, logs))


@pytest.mark.parametrize("covariance", ["identity", "diagonal"])
def test_groups_have_means_of_their_own_and_are_summed(covariance):
    torch.manual_seed(0)
    config = LGMConfig(margin=0.2, likelihood=0.5, covariance=covariance)
    module = LGMLoss(config, groups=2, classes=3, dimension=5)
    embeddings, labels = torch.randn(2, 8, 5), torch.arange(8) % 3
    by_hand = 0.0
    for group in range(2):
        variances = None if module.log_variances is None else torch.full((3, 5), 1 + 1e-4)
        parts = lgm_loss(embeddings[group], labels, module.means[group], variances, margin=0.2)
        by_hand += parts[0].item() + 0.5 * parts[1].item()
    assert module(embeddings, labels, 0).item() == pytest.approx(by_hand, rel=1e-5)
    assert len(list(module.parameters())) == (2 if covariance == "diagonal" else 1)


def test_the_margin_grows_from_nothing_over_the_warm_up():
    module = LGMLoss(LGMConfig(margin=0.4, margin_warmup=4), groups=1, classes=3, dimension=5)
    embeddings, labels = torch.randn(1, 8, 5), torch.arange(8) % 3
    for iteration, margin in ((0, 0.0), (1, 0.1), (4, 0.4), (9, 0.4)):
        parts = lgm_loss(embeddings[0], labels, module.means[0], margin=margin)
        by_hand = (parts[0] + 0.01 * parts[1]).item()
        assert module(embeddings, labels, iteration).item() == pytest.approx(by_hand, rel=1e-6)


def test_diagnosis_of_the_class_means_by_hand():
    module = LGMLoss(LGMConfig(), groups=1, classes=2, dimension=1)
    module.means.data = torch.tensor([[[0.0], [2.0]]])
    # Half the squared distances: 0 and 2; 2 and 0; 0.5 and 0.5 (the first of equals); of its own: 0, 0, 0.5.
    diagnosis = module.diagnose(torch.tensor([[[0.0], [2.0], [1.0]]]), torch.tensor([0, 1, 1]))
    entropy = (2 * math.log(1 + math.exp(-2)) + math.log(2)) / 3
    assert diagnosis["lgm_accuracy"] == pytest.approx(2 / 3)
    assert diagnosis["lgm_chance"] == pytest.approx(entropy / math.log(2))
    assert (diagnosis["lgm_norm"], diagnosis["lgm_means_norm"]) == (1.0, 1.0)
    assert not guesses(diagnosis)
    assert guesses(module.diagnose(torch.ones(1, 3, 1), torch.tensor([0, 1, 1])))  # amid both means
    assert not guesses({})  # without the L-GM loss


def test_the_sum_of_the_parts_has_the_weights_asked_for():
    torch.manual_seed(0)
    config = LossConfig(
        triplet=TripletConfig(margin="soft"),
        lgm=LGMConfig(weight=0.25),
        cross_entropy=CrossEntropyConfig(weight=2.0),
    )
    module = ReidLoss(config, classes=3, feature=6, groups=(2, 4))
    labels = torch.arange(6) % 3
    embedded = Embedded(torch.randn(6, 4), torch.randn(2, 6, 4), torch.randn(6, 6))
    parts = module(embedded, labels)
    assert list(parts) == ["triplet", "lgm", "cross_entropy"]
    assert parts["triplet"].item() == pytest.approx(sum(batch_hard(embedded.triplet, labels, None)) / 6, rel=1e-5)
    assert parts["lgm"].item() == pytest.approx(0.25 * module.lgm(embedded.groups, labels, 0).item())
    logits = module.classifier(embedded.neck).log_softmax(1)
    smoothed = -(0.9 * logits[range(6), labels] + 0.1 * logits.mean(1)).mean()
    assert parts["cross_entropy"].item() == pytest.approx(2 * smoothed.item(), rel=1e-5)


def test_distillation_by_hand():
    features = torch.tensor([[3.0, 0.0], [0.0, 2.0]])
    targets = torch.tensor([[0.6, 0.8], [0.0, 1.0]])
    # Cosines to the targets: 0.6 and 1. Of the four similarities two differ, 0 from 0.8.
    assert distillation_loss(features, targets, 5.0).item() == pytest.approx(0.2 + 5 * 2 * 0.64 / 4)
    assert distillation_loss(7 * targets, targets, 5.0).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("margin", [0.2, None])
def test_a_collapsed_batch_costs_the_margin_has_no_gradient_and_is_recognised(margin):
    embeddings = torch.ones(8, 4, requires_grad=True)
    labels = torch.arange(8) % 4
    loss = triplet_losses(*hardest(pairwise_distances(embeddings), labels), margin).mean()
    loss.backward()
    assert float(loss.detach()) == pytest.approx(math.log(2) if margin is None else margin)
    assert torch.equal(embeddings.grad, torch.zeros(8, 4))
    diagnosis = diagnose(embeddings, labels, margin)
    assert has_collapsed(diagnosis)
    assert diagnosis["active"] == 1
    assert diagnosis["norm"] == 2


def test_diagnosis_by_hand():
    embeddings, labels = torch.tensor([[0.0], [1.0], [3.0], [7.0]]), torch.tensor([0, 0, 1, 1])
    diagnosis = diagnose(embeddings, labels, 1.5)
    assert diagnosis["active"] == 0.5
    assert diagnosis["positive"] == (1 + 4) / 2
    assert diagnosis["negative"] == (3 + 7 + 2 + 6) / 4
    assert diagnosis["norm"] == 11 / 4
    assert not has_collapsed(diagnosis)
