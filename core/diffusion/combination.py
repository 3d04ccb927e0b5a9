"""Sums of two tensors with factors, as samplers take them in every step, and the step that most of them begin with."""

from __future__ import annotations

import torch
from torch import Tensor

from .level import Level

__all__ = ["combined", "euler_step"]

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


def euler_step(x: Tensor, x0: Tensor, here: Level[float], there: Level[float]) -> Tensor:
    """Return ``alpha x0 + sigma eps`` at another level, with x0 and eps as they are seen at ``here``.

    It is Euler's step for ``d(x / alpha) / d(nsr) = eps``, nsr = sigma / alpha, and DDIM's.

    Source: Song et al. 2021, arXiv 2010.02502, equation 14.
    """
    ratio = there.sigma / here.sigma
    return combined(x, ratio, x0, there.alpha - ratio * here.alpha)
