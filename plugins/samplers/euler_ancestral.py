"""Euler's method to less noise than the next level has, then fresh noise up to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge
from torch import Tensor

from ...core.diffusion.brownian import step_noise
from ...core.diffusion.combination import added_to, combined
from ...core.diffusion.level import Level
from ...core.diffusion.sampling import Denoise, Noise
from ...core.diffusion.transition import fresh_deviation

__all__ = ["EulerAncestral"]


@dataclass(frozen=True)
class EulerAncestral:
    """``x_next = alpha x0 + down eps + up z``, ``down**2 + up**2 = sigma**2``; up is eta times DDPM's own deviation.

    Order 1 in distribution, 1 NFE per step, stochastic unless eta = 0, keeps no state. In terms of sigma / alpha it is
    k-diffusion's step, so it is the same for every process; it is also DDIM's step of the same eta, which
    variance-preserving processes hide.

    Args:
        eta: 0 is ``euler``, 1 draws from the posterior as ``ddpm`` does; above 1 more of the noise is fresh, all of it
            at most.
        brownian: take the noise of a step from one Brownian path per item, the same for any number of steps.

    Source: Song et al. 2021, arXiv 2011.13456, appendix F, for SMLD; with eta, k-diffusion (Crowson 2022).
    """

    eta: Annotated[float, Ge(0)] = 1.0
    brownian: bool = False

    order = 1
    nfe_per_step = 1

    @property
    def stochastic(self) -> bool:
        return self.eta > 0

    def init(self, x: Tensor) -> None:
        return None

    def step(
        self, x: Tensor, here: Level[float], next: Level[float], denoise: Denoise, noise: Noise, state: None
    ) -> tuple[Tensor, None]:
        up = fresh_deviation(here, next, self.eta)
        down = (next.sigma**2 - up**2) ** 0.5 if up else next.sigma
        ratio = down / here.sigma
        there = combined(x, ratio, denoise(x, here), next.alpha - ratio * here.alpha)
        return (added_to(there, step_noise(noise, here, next, self.brownian), up) if up else there), None
