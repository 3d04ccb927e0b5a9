"""Sums of tensors with factors, as samplers take them in every step, and the step that most of them begin with."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from .level import Level

__all__ = ["added_to", "combined", "euler_step", "plus", "scaled", "weighted_sum"]

_NOTHING = {dtype: torch.zeros((), dtype=dtype, device="cpu") for dtype in (torch.float32, torch.float64)}


def scaled(x: Tensor, factor: float) -> Tensor:
    """Return ``factor * x`` as a new tensor.

    Torch makes a tensor of a number before it multiplies by it, which takes as long as the product of a small item. A
    sum takes the factor of its second part as it is, so ``0 + factor * x`` is the same product in half the time; only
    in half precision it rounds the factor, too.
    """
    nothing = _NOTHING.get(x.dtype)
    return x * factor if nothing is None else torch.add(nothing, x, alpha=factor)


def combined(x: Tensor, of_x: float, y: Tensor, of_y: float) -> Tensor:
    """Return ``of_x * x + of_y * y`` as a new tensor; in half precision with no factor rounded."""
    nothing = _NOTHING.get(x.dtype)
    if nothing is None:
        return (x * of_x).add_(y * of_y)
    return torch.add(nothing, x, alpha=of_x).add_(y, alpha=of_y)


def plus(x: Tensor, y: Tensor, of_y: float) -> Tensor:
    """Return ``x + of_y * y`` as a new tensor."""
    return torch.add(x, y, alpha=of_y) if x.dtype in _NOTHING else x + _product(y, of_y)


def added_to(made: Tensor, y: Tensor, of_y: float) -> Tensor:
    """Add ``of_y * y`` to a tensor that nobody else holds, in place, and return it."""
    return made.add_(y, alpha=of_y) if made.dtype in _NOTHING else made.add_(_product(y, of_y))


def _product(y: Tensor, of_y: float) -> Tensor:
    """Return ``of_y * y`` in half precision, to be added to something.

    There torch rounds a sum's own factor or not, as a number's place in memory has it, and so the batch has a say.

    Raises:
        RuntimeError: half precision cannot hold the factor, as torch says of a sum's own: all else would be lost in it.
    """
    if abs(of_y) > torch.finfo(y.dtype).max:
        raise RuntimeError(f"{of_y:.3g} cannot be converted to {y.dtype} without overflow")
    return y * of_y


def weighted_sum(x: Tensor, of_x: float, factors: Iterable[float], values: Iterable[Tensor]) -> Tensor:
    """Return ``of_x * x + sum factors * values`` as a new tensor."""
    made = scaled(x, of_x)
    if made.dtype in _NOTHING:
        for factor, value in zip(factors, values, strict=True):
            made.add_(value, alpha=factor)
    else:
        for factor, value in zip(factors, values, strict=True):
            made.add_(_product(value, factor))
    return made


def euler_step(x: Tensor, x0: Tensor, here: Level[float], there: Level[float]) -> Tensor:
    """Return ``alpha x0 + sigma eps`` at another level, with x0 and eps as they are seen at ``here``.

    It is Euler's step for ``d(x / alpha) / d(nsr) = eps``, nsr = sigma / alpha, and DDIM's.

    Source: Song et al. 2021, arXiv 2010.02502, equation 14.
    """
    ratio = there.sigma / here.sigma
    return combined(x, ratio, x0, there.alpha - ratio * here.alpha)
