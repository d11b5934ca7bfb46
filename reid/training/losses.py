"""Batch-hard triplet and L-GM loss: pure functions, and modules with the parameters.

Compared with the original authors' unchanged TensorFlow code on random inputs in float32: the triplet
loss with `cdist` and `batch_hard` of github.com/VisualComputingInstitute/triplet-reid, the L-GM loss with
`lgm_logits` of github.com/WeitaoVan/L-GM-loss; docs/reid.md lists the differences.
"""

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reid.config import LGMConfig, LossConfig
from reid.network import Embedded

_ACTIVE = 1e-5  # a triplet with less loss than this is inactive (Hermans et al.'s own limit)
_COLLAPSED = 0.01  # distances below this share of the margin: the batch is one point
_CHANCE = 0.98  # share of log(classes) from which the classification by L-GM is as good as a guess
_LEAST_VARIANCE = 1e-4  # added to a learned one (Wan et al.'s code): so that no class shrinks to a point


def pairwise_distances(embeddings: Tensor) -> Tensor:
    """Euclidean distances between the rows of `embeddings` (n, d), not squared: (n, n).

    The gradient at distance 0 is 0, not NaN: torch's `cdist` defines it so.
    """
    # Without matrix products: |a|² - 2ab + |b|² loses the small distances, the ones that decide.
    return torch.cdist(embeddings, embeddings, compute_mode="donot_use_mm_for_euclid_dist")


def hardest(distances: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """For each anchor the farthest of its own identity and the nearest of another (Hermans et al. 2017, eq. 5).

    Args:
        distances: (n, n).
        labels: int64 (n,).

    Returns:
        Distances (n,) of positives and (n,) of negatives. An anchor alone with its identity has itself as
        positive, at distance 0. Without another identity, which a batch has always, negatives are infinitely far.

    """
    same = labels[:, None] == labels[None, :]
    positive = distances.masked_fill(~same, -math.inf).amax(dim=1)
    negative = distances.masked_fill(same, math.inf).amin(dim=1)
    return positive, negative


def triplet_losses(positive: Tensor, negative: Tensor, margin: float | None) -> Tensor:
    """Loss of each anchor (n,): max(0, margin + positive - negative); with None the soft margin's log(1 + exp(·)).

    Hermans et al. 2017, section 2.
    """
    difference = positive - negative
    return F.softplus(difference) if margin is None else (difference + margin).clamp(min=0)


def lgm_distances(embeddings: Tensor, means: Tensor, variances: Tensor | None = None) -> Tensor:
    """Half the squared Mahalanobis distance to each class: d_k = ½ (x - μ_k)ᵀ Σ_k⁻¹ (x - μ_k).

    Args:
        embeddings: (n, d).
        means: (c, d).
        variances: (c, d), the diagonals of Σ; None: identity.

    Returns:
        (n, c).

    """
    if variances is None:
        squares = embeddings.square().sum(1, keepdim=True) + means.square().sum(1)
        return squares / 2 - embeddings @ means.T
    precisions = variances.reciprocal()
    squares = embeddings.square() @ precisions.T + (means.square() * precisions).sum(1)
    return squares / 2 - embeddings @ (means * precisions).T


def lgm_loss(
    embeddings: Tensor, labels: Tensor, means: Tensor, variances: Tensor | None = None, *, margin: float
) -> tuple[Tensor, Tensor]:
    """Classification and likelihood part of the L-GM loss (Wan et al. 2018), each a mean over the batch.

    Classification: cross-entropy over -½ log|Σ_k| - d_k, where the true class has (1 + margin) d_z.
    Likelihood: d_z + ½ log|Σ_z|. The prior of the classes is uniform.

    Args:
        embeddings: (n, d).
        labels: int64 (n,), below c.
        means: (c, d).
        variances: (c, d), positive; None: identity.
        margin: the authors' alpha; 0 at inference.

    """
    distances = lgm_distances(embeddings, means, variances)
    half_log = torch.zeros_like(means[:, 0]) if variances is None else variances.log().sum(1) / 2
    own = distances.gather(1, labels[:, None])
    logits = (-half_log - distances).scatter_add(1, labels[:, None], -margin * own)
    return F.cross_entropy(logits, labels), (own[:, 0] + half_log[labels]).mean()


class LGMLoss(nn.Module):
    """The L-GM loss of each channel group, with class means (and variances) of its own, summed over groups.

    Attributes:
        means: (groups, classes, d), Xavier as in the authors' code.
        log_variances: (groups, classes, d), or None with identity covariance.

    """

    def __init__(self, config: LGMConfig, *, groups: int, classes: int, dimension: int) -> None:
        super().__init__()
        self._config = config
        self.means = nn.Parameter(torch.empty(groups, classes, dimension))
        for means in self.means.detach():
            nn.init.xavier_uniform_(means)
        learned = config.covariance == "diagonal"
        self.log_variances = nn.Parameter(torch.zeros_like(self.means)) if learned else None

    def forward(self, embeddings: Tensor, labels: Tensor, iteration: int) -> Tensor:
        """Loss of `embeddings` (groups, n, d) with `labels` int64 (n,) in `iteration`, from 0: a scalar."""
        warmup = self._config.margin_warmup
        margin = self._config.margin * (min(1.0, iteration / warmup) if warmup else 1.0)
        total = embeddings.new_zeros(())
        for group, own in enumerate(embeddings):
            parts = lgm_loss(own, labels, self.means[group], self._variances(group), margin=margin)
            total = total + parts[0] + self._config.likelihood * parts[1]
        return total

    def _variances(self, group: int) -> Tensor | None:
        return None if self.log_variances is None else self.log_variances[group].exp() + _LEAST_VARIANCE

    @torch.no_grad()
    def diagnose(self, embeddings: Tensor, labels: Tensor) -> dict[str, float]:
        """Diagnosis of a batch's `embeddings` (groups, n, d) with `labels` int64 (n,), without margin.

        Returns:
            Means over the groups. `lgm_accuracy`: share whose likeliest identity is their own; `lgm_chance`: the
            classification loss divided by that of a guess, log(classes); `lgm_norm`, `lgm_means_norm`: length of
            an embedding and of a class mean.

        """
        rows = []
        for group, own in enumerate(embeddings):
            means, variances = self.means[group], self._variances(group)
            scores = -lgm_distances(own, means, variances)
            if variances is not None:
                scores = scores - variances.log().sum(1) / 2
            right = (scores.argmax(dim=1) == labels).float().mean()
            chance = F.cross_entropy(scores, labels) / max(math.log(len(means)), _ACTIVE)
            rows.append(torch.stack([right, chance, own.norm(dim=1).mean(), means.norm(dim=1).mean()]))
        names = ("lgm_accuracy", "lgm_chance", "lgm_norm", "lgm_means_norm")
        return dict(zip(names, torch.stack(rows).mean(dim=0).tolist(), strict=True))


def distillation_loss(features: Tensor, targets: Tensor, similarities: float) -> Tensor:
    """Mean cosine distance of `features` from `targets`, plus the mean squared difference of their similarities.

    The second part is that of Tung & Mori 2019, with cosines.

    Args:
        features: (n, d), of any length.
        targets: (n, d), of length 1.
        similarities: weight of the second part.

    """
    own = F.normalize(features)
    apart = (own @ own.T - targets @ targets.T).square().mean()
    return 1 - (own * targets).sum(1).mean() + similarities * apart


class ReidLoss(nn.Module):
    """The sum that training minimises: triplet + k · Σ L-GM + cross-entropy + distillation, those of `config`.

    Args:
        config: the losses, with their weights.
        classes: identities of the training data.
        feature: length of the feature.
        groups: number and length of the groups' embeddings; needed by the L-GM loss.

    """

    def __init__(
        self, config: LossConfig, *, classes: int, feature: int, groups: tuple[int, int] | None = None
    ) -> None:
        super().__init__()
        self._config = config
        margin = "soft" if config.triplet is None else config.triplet.margin
        self.margin = None if margin == "soft" else margin
        self.lgm = self.classifier = None
        if config.lgm is not None:
            assert groups is not None
            self.lgm = LGMLoss(config.lgm, groups=groups[0], classes=classes, dimension=groups[1])
        if config.cross_entropy is not None:
            self.classifier = nn.Linear(feature, classes, bias=False)
            nn.init.normal_(self.classifier.weight, std=0.001)  # as Luo et al. 2019 do: all classes alike at first

    def forward(
        self, embedded: Embedded, labels: Tensor, iteration: int = 0, targets: Tensor | None = None
    ) -> dict[str, Tensor]:
        """The parts of the loss in `iteration` by name, weighted: scalars whose sum is to be minimised.

        Args:
            embedded: of a batch of n.
            labels: int64 (n,).
            iteration: from 0.
            targets: (n, D), of length 1, for features after the neck; needed for distillation.

        """
        parts = {}
        if self._config.triplet is not None:
            positive, negative = hardest(pairwise_distances(embedded.triplet), labels)
            parts["triplet"] = triplet_losses(positive, negative, self.margin).mean()
        if self.lgm is not None and self._config.lgm is not None and embedded.groups is not None:
            parts["lgm"] = self._config.lgm.weight * self.lgm(embedded.groups, labels, iteration)
        if self.classifier is not None and self._config.cross_entropy is not None:
            entropy = F.cross_entropy(
                self.classifier(embedded.neck), labels, label_smoothing=self._config.cross_entropy.smoothing
            )
            parts["cross_entropy"] = self._config.cross_entropy.weight * entropy
        if self._config.distillation is not None and targets is not None:
            how = self._config.distillation
            parts["distillation"] = how.weight * distillation_loss(embedded.neck, targets, how.similarities)
        return parts


@torch.no_grad()
def diagnose(embeddings: Tensor, labels: Tensor, margin: float | None) -> Mapping[str, float]:
    """Diagnosis of a batch's triplets.

    Args:
        embeddings: (n, d), for the triplet loss.
        labels: int64 (n,).
        margin: of the triplet loss; None: soft.

    Returns:
        `active`: share of anchors with a loss; `positive`, `negative`: mean distance between images of one and
        of two identities; `norm`: mean length of an embedding; `spread`: the largest distance divided by the
        margin (by 1 with a soft one).

    """
    distances = pairwise_distances(embeddings)
    same = labels[:, None] == labels[None, :]
    others = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    losses = triplet_losses(*hardest(distances, labels), margin)
    figures = {
        "active": (losses > _ACTIVE).double().mean(),
        "positive": _mean(distances, others),
        "negative": _mean(distances, ~same),
        "norm": embeddings.norm(dim=1).mean(),
        "spread": distances.max() / (margin or 1.0),
    }
    # Together: a GPU would be waited for at each of them.
    values = torch.stack([value.double() for value in figures.values()]).tolist()
    return dict(zip(figures, values, strict=True))


def _mean(values: Tensor, chosen: Tensor) -> Tensor:
    """The mean of the `chosen` ones of `values`; 0 if there are none."""
    return values.double().where(chosen, 0).sum() / chosen.sum().clamp(min=1)


def has_collapsed(diagnosis: Mapping[str, float]) -> bool:
    """Whether all embeddings of a diagnosed batch are practically one point.

    The triplet loss is then the margin, and its gradient exactly zero where they coincide.
    """
    return diagnosis["spread"] < _COLLAPSED


def guesses(diagnosis: Mapping[str, float]) -> bool:
    """Whether the L-GM loss of a diagnosed batch tells no identity from another."""
    return diagnosis.get("lgm_chance", 0.0) > _CHANCE
