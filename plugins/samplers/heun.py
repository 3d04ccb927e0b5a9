"""Heun's method for the probability-flow ODE."""

from __future__ import annotations

import torch
from torch import Tensor

from ...core.level import Level
from ...core.sampling import Denoise, Noise

__all__ = ["Heun"]


class Heun:
    """The trapezoidal rule for ``d(x / alpha) / d(nsr) = eps``, nsr = sigma / alpha, with Euler's step to look ahead.

    Order 2, 2 NFE per step, deterministic, keeps no state. A step from alpha = 0 or to sigma = 0 is Euler's: nsr or
    eps has no value there.

    Source: Karras et al. 2022, arXiv 2206.00364, algorithm 1.
    """

    order = 2
    stochastic = False
    nfe_per_step = 2

    def init(self, x: Tensor) -> None:
        return None

    def step(
        self, x: Tensor, here: Level[float], next: Level[float], denoise: Denoise, noise: Noise, state: None
    ) -> tuple[Tensor, None]:
        ratio = next.sigma / here.sigma
        x0 = denoise(x, here)
        ahead = torch.add(x * ratio, x0, alpha=next.alpha - ratio * here.alpha)
        if here.alpha == 0 or next.sigma == 0:
            return ahead, None
        eps = (x - here.alpha * x0) / here.sigma
        eps_ahead = (ahead - next.alpha * denoise(ahead, next)) / next.sigma
        # From here on Euler's step is corrected by half the change of the slope.
        return torch.add(ahead, eps_ahead - eps, alpha=0.5 * (next.sigma - here.sigma * next.alpha / here.alpha)), None
