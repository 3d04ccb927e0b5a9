"""DDIM: the deterministic sampler of the same marginals, and everything between it and DDPM."""

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

__all__ = ["DDIM"]


@dataclass(frozen=True)
class DDIM:
    """``x_next = alpha x0 + sqrt(sigma**2 - s**2) eps + s z``, with s = eta times DDPM's posterior deviation.

    Order 1, 1 NFE per step, deterministic at eta = 0, keeps no state.

    Args:
        eta: 0 follows the probability-flow ODE, 1 is DDPM; above 1 more of the noise is fresh, all of it at most.
        clip: bound that x0 is held to, -clip to clip, as models of pixels want it; eps stays what the network said of
            x0 before. 0 is none.
        brownian: take the fresh noise of a step from one Brownian path per item, the same for any number of steps.

    Source: Song et al. 2021, arXiv 2010.02502, equations 12 and 16.
    """

    eta: Annotated[float, Ge(0)] = 0.0
    clip: Annotated[float, Ge(0)] = 0.0
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
        x0 = denoise(x, here)
        fresh = fresh_deviation(here, next, self.eta) if self.eta else 0.0
        kept = (next.sigma**2 - fresh**2) ** 0.5 / here.sigma  # factor of sigma * eps = x - alpha * x0
        if self.clip:
            there = combined(x, kept, x0, -kept * here.alpha)
            added_to(there, x0.clamp(-self.clip, self.clip), next.alpha)
        else:
            there = combined(x, kept, x0, next.alpha - kept * here.alpha)
        return (added_to(there, step_noise(noise, here, next, self.brownian), fresh) if fresh else there), None
