"""Optimiser and learning rate."""

import math

import torch
from torch import nn

from detector.config import TrainConfig


def make_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """The optimiser of the weights of `model` that are not frozen."""
    # Norms and biases are not decayed, as is usual.
    parameters = [value for value in model.parameters() if value.requires_grad]
    groups = [
        {"params": [value for value in parameters if value.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [value for value in parameters if value.ndim <= 1], "weight_decay": 0.0},
    ]
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=config.learning_rate, momentum=config.momentum)
    return torch.optim.AdamW(groups, lr=config.learning_rate)


def learning_rate(config: TrainConfig, iteration: int) -> float:
    """The rate at `iteration` (from 0): linear warm-up, then a cosine to zero or cuts to a tenth."""
    rate = config.learning_rate
    if iteration < config.warmup:
        return rate * (iteration + 1) / config.warmup
    if config.schedule == "steps":
        return rate * 0.1 ** sum(iteration >= step for step in config.steps)
    progress = (iteration - config.warmup) / max(1, config.iterations - config.warmup)
    return rate * 0.5 * (1 + math.cos(math.pi * progress))
