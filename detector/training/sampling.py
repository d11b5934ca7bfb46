"""Sampling of anchors and RoIs by the number of the training image, whatever its place in a batch."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection._utils import BalancedPositiveNegativeSampler


class NumberedSampler(BalancedPositiveNegativeSampler):
    """torchvision's sampler with one seed per image: processes that share a batch draw as one process would.

    Attributes:
        seeds: one per image of the next batch.

    """

    def __init__(self, batch_size_per_image: int, positive_fraction: float) -> None:
        super().__init__(batch_size_per_image, positive_fraction)
        self.seeds: Sequence[int] = ()

    def __call__(self, matched_idxs: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Masks of the positives and of the negatives drawn in each image; see torchvision."""
        positives, negatives = [], []
        for seed, matched in zip(self.seeds, matched_idxs, strict=True):
            torch.manual_seed(seed)
            ((positive,), (negative,)) = super().__call__([matched])
            positives.append(positive)
            negatives.append(negative)
        return positives, negatives


def use_numbered_samplers(model: FasterRCNN) -> list[NumberedSampler]:
    """Put numbered samplers into both heads of `model`; set their seeds before each batch."""
    samplers = []
    for head in (model.rpn, model.roi_heads):
        plain = head.fg_bg_sampler
        head.fg_bg_sampler = NumberedSampler(plain.batch_size_per_image, plain.positive_fraction)
        samplers.append(head.fg_bg_sampler)
    return samplers
