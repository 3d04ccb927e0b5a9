"""Sums of two tensors with factors, as every step of every sampler takes them."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["combined"]

_NOTHING = {dtype: torch.zeros((), dtype=dtype, device="cpu") for dtype in (torch.float32, torch.float64)}


def combined(x: Tensor, of_x: float, y: Tensor, of_y: float) -> Tensor:
    """Return ``of_x * x + of_y * y`` as a new tensor.

    Torch makes a tensor of a number before it multiplies by it, which takes as long as the product of a small item. A
    sum takes the factor of its second part as it is, so ``0 + of_x * x`` is the same product in half the time; only in
    half precision it rounds the factor, too.
    """
    nothing = _NOTHING.get(x.dtype)
    if nothing is None:
        return (x * of_x).add_(y * of_y)
    return torch.add(nothing, x, alpha=of_x).add_(y, alpha=of_y)
