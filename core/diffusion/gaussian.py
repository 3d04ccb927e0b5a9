"""How likely numbers are under a Gaussian: their density, or the probability of the value that they were rounded to.

What bounds of the likelihood are made of.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.special import log_ndtr

__all__ = ["divergence", "log_density", "log_probability"]

_FAR = 40.0  # deviations: beyond lies less than 1e-349, less than float64 knows


def log_density(x: Tensor, mean: Tensor, log_deviation: Tensor) -> Tensor:
    """Return log N(x; mean, deviation**2) in nats, like ``x``."""
    return -0.5 * ((x - mean) * torch.exp(-log_deviation)) ** 2 - log_deviation - 0.5 * math.log(2 * math.pi)


def log_probability(x: Tensor, mean: Tensor, log_deviation: Tensor, values: int, reach: float) -> Tensor:
    """Return the log of the probability of the values that ``x`` holds, in nats, like ``x``.

    A value's is the Gaussian's from half way to the value below to half way to the one above; of the first and the last
    one all that lies beyond is theirs as well.

    Args:
        x: numbers, each one of the values; float64.
        mean: of the Gaussian.
        log_deviation: of the Gaussian.
        values: how many there are.
        reach: they lie evenly from ``-reach`` to ``reach``.

    Source: Ho et al. 2020, arXiv 2006.11239, equation 13; here with the exact distribution function.
    """
    half = reach / (values - 1)
    low, high = (((x + side - mean) * torch.exp(-log_deviation)) for side in (-half, half))
    low = torch.where(x < half - reach, high.clamp(max=0) - _FAR, low)
    high = torch.where(x > reach - half, low.clamp(min=0) + _FAR, high)
    # In the lower half of the Gaussian no digits are lost; the other half is its mirror image.
    low, high = torch.where(low + high > 0, -high, low), torch.where(low + high > 0, -low, high)
    log_low, log_high = log_ndtr(low), log_ndtr(high)
    return log_high + torch.log(-torch.expm1(log_low - log_high))


def divergence(off: Tensor, log_ratio: Tensor | float) -> Tensor:
    """Return KL(N(m, s**2) || N(m + off * s, ratio * s**2)) in nats, like ``off``.

    Args:
        off: difference of the means in deviations of the first Gaussian.
        log_ratio: log of the ratio of the variances, of the second to the first.
    """
    log_ratio = torch.as_tensor(log_ratio, dtype=off.dtype, device=off.device)
    return 0.5 * (log_ratio + torch.expm1(-log_ratio) + off.square() * torch.exp(-log_ratio))
