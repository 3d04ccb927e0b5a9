"""Numbers that parts are given: normal ones, the same in every run, and the same with gaps in memory."""

from __future__ import annotations

import torch
from torch import Tensor

from ...diffusion.noise import Draws, keys_of

__all__ = ["normal", "scattered"]


def normal(*shape: int, purpose: str = "start") -> Tensor:
    """Return standard normal float64 numbers (\\*shape), the same in every run, each row with its own key."""
    return Draws().normal(keys_of(range(shape[0])), shape[1:], purpose=purpose, dtype=torch.float64)


def scattered(value: Tensor) -> Tensor:
    """Return the same numbers, which lie in memory with gaps between them."""
    if value.ndim == 1:
        return torch.stack([value, value], -1)[:, 0]
    return torch.cat([value, value], -1)[..., : value.shape[-1]]
