"""What guidances are tried on: a model that takes conditions, a weaker one, and a classifier."""

from __future__ import annotations

import torch
from torch import Tensor

from ...diffusion.denoiser import Cond
from ...diffusion.level import Level, expand
from .numbers import normal

__all__ = ["chance", "conditions", "model", "nulls", "weaker"]


def conditions(rows: int, *, purpose: str = "asked") -> dict[str, Tensor]:
    """Return conditions of some items, different of each."""
    return {"vector": normal(rows, 2, purpose=purpose), "text": normal(rows, 3, 2, purpose=purpose)}


def nulls(rows: int) -> dict[str, Tensor]:
    """Return conditions that ask for nothing."""
    return {name: torch.zeros_like(value) for name, value in conditions(rows).items()}


def model(x: Tensor, level: Level[float], cond: Cond) -> Tensor:
    """Return the clean items that a model of no particular data sees: smooth, of each number, level and condition."""
    shift = sum((value.flatten(1).mean(1).to(x.dtype) for value in cond.values()), x.new_zeros(len(x)))
    size = (level.alpha**2 + level.sigma**2) ** 0.5
    return torch.sin(1.3 * x / size + expand(shift, x)) + 0.3 * expand(shift, x) + 0.1 * level.t


def weaker(x: Tensor, level: Level[float], cond: Cond) -> Tensor:
    """Return what a weaker model sees."""
    return 0.8 * model(x, level, cond)


def chance(x: Tensor, level: Level[float]) -> Tensor:
    """Return log p(label | x) of a classifier (batch,)."""
    return -0.5 * (x - 0.3).square().flatten(1).mean(1)
