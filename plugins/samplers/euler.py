"""Euler's method for the probability-flow ODE."""

from __future__ import annotations

from torch import Tensor

from ...core.diffusion.combination import euler_step
from ...core.diffusion.level import Level
from ...core.diffusion.sampling import Denoise, Noise

__all__ = ["Euler"]


class Euler:
    """Euler's method for ``d(x / alpha) / d(nsr) = eps``, nsr = sigma / alpha.

    Order 1, 1 NFE per step, deterministic, keeps no state. In these variables a step is
    ``x_next = alpha x0 + sigma eps``: the same as DDIM's, and on ``flow`` the same as a step along the velocity.

    Source: Karras et al. 2022, arXiv 2206.00364, equation 4; Song et al. 2021, arXiv 2010.02502, equation 14.
    """

    order = 1
    stochastic = False
    nfe_per_step = 1

    def init(self, x: Tensor) -> None:
        return None

    def step(
        self, x: Tensor, here: Level[float], next: Level[float], denoise: Denoise, noise: Noise, state: None
    ) -> tuple[Tensor, None]:
        return euler_step(x, denoise(x, here), here, next), None
