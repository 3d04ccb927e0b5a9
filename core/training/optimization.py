"""What the optimizer is given: parameters in groups, and the learning rate of each step."""

from __future__ import annotations

import math

import torch

from .recipe import TrainingConfig

__all__ = ["parameter_groups", "rate_at"]


def rate_at(config: TrainingConfig, step: int) -> float:
    """Return the learning rate at a step, counted from 0."""
    warm = min(1.0, (step + 1) / config.warmup) if config.warmup else 1.0
    if config.decay == "constant":
        return config.learning_rate * warm
    share = min(1.0, max(0.0, (step - config.warmup) / max(1, config.steps - config.warmup)))
    return config.learning_rate * (warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share))))


def parameter_groups(model: torch.nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Return matrices and kernels, which decay, apart from norms and biases, which do not."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return [
        {"params": [one for one in parameters if one.ndim >= 2], "weight_decay": weight_decay},
        {"params": [one for one in parameters if one.ndim < 2], "weight_decay": 0.0},
    ]
