"""Heun's method for the probability-flow ODE."""

from __future__ import annotations

from torch import Tensor

from ...core.diffusion.combination import euler_step, plus
from ...core.diffusion.level import Level
from ...core.diffusion.sampling import Denoise, Noise

__all__ = ["Heun"]


class Heun:
    """The trapezoidal rule for ``d(x / alpha) / d(nsr) = eps``, nsr = sigma / alpha, with Euler's step to look ahead.

    Order 2, 2 NFE per step, deterministic, keeps no state. A step from alpha = 0 or to sigma = 0 is Euler's: nsr or
    eps has no value there. (Next to alpha = 0 equal steps of t are growing steps of nsr; on ``flow`` they leave an
    error of h**2 log(1 / h) in place of h**2. No other rule is the same in x and in x / alpha and EDM's where
    alpha = 1.)

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
        x0 = denoise(x, here)
        ahead = euler_step(x, x0, here, next)
        if here.alpha == 0 or next.sigma == 0:
            return ahead, None
        # Half the change of eps over the change of nsr. With both x0 written out in it, all but their change cancels.
        gain = 0.5 * next.alpha * (next.alpha * here.sigma / (next.sigma * here.alpha) - 1)
        return plus(ahead, denoise(ahead, next) - x0, gain), None
