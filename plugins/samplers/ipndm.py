"""Improved PNDM."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

from ...core.diffusion.combination import euler_step, plus, weighted_sum
from ...core.diffusion.level import Level
from ...core.diffusion.sampling import Denoise, Noise

__all__ = ["IPNDM"]

Past = tuple[tuple[float, ...], tuple[Tensor, ...]]
"""Of the latest steps, the newest first: sigma, and sigma * eps."""

ADAMS_BASHFORTH = (
    (1.0,),
    (3 / 2, -1 / 2),
    (23 / 12, -16 / 12, 5 / 12),
    (55 / 24, -59 / 24, 37 / 24, -9 / 24),
)
"""Weights of the latest values, the newest first, that give the mean over the step ahead when steps are equal."""


@dataclass(frozen=True)
class IPNDM:
    """DDIM's step with the eps of Adams and Bashforth in the place of eps: the weighted last four.

    Order 2, 1 NFE per step, deterministic; its state is the latest steps' sigma * eps and sigma. The weights
    are those of equal steps, so that what counts is the number of the step: order 2 holds on grids that are smooth
    functions of it, as those of equal steps of t, of log-SNR or of a root of nsr are, but not on a mixture of long
    and short steps. More than 2 it is not, for eps is averaged over the step and then multiplied by the step of nsr
    = sigma / alpha; only where steps of nsr are equal are the later steps those of order 4. The second and third
    step take two and three eps's, the first step and one from alpha = 0 a single one.

    Args:
        start: "adams" starts so; "heun" makes the first step with the mean of the eps's at both its ends, for 1 NFE
            more, as PLMS does.

    Source: Liu et al. 2022, arXiv 2202.09778, section 3 (pseudo linear multistep, its order, and the second-order start
    that is "heun"); Zhang and Chen 2023, arXiv 2204.13902, appendix on iPNDM (the start at lower orders).
    """

    start: Literal["adams", "heun"] = "adams"

    order = 2
    stochastic = False
    nfe_per_step = 1
    claims: ClassVar[Mapping[str, object]] = {"equal_steps": True}

    @property
    def nfe_varies(self) -> bool:
        return self.start == "heun"

    def init(self, x: Tensor) -> Past:
        return (), ()

    def step(
        self, x: Tensor, here: Level[float], next: Level[float], denoise: Denoise, noise: Noise, state: Past
    ) -> tuple[Tensor, Past]:
        x0 = denoise(x, here)
        sigmas, noises = (here.sigma, *state[0])[:4], (plus(x, x0, -here.alpha), *state[1])[:4]
        past = sigmas, noises
        if here.alpha != 0 and len(noises) > 1:
            return _transferred(x, here, next, ADAMS_BASHFORTH[len(noises) - 1], sigmas, noises), past
        ahead = euler_step(x, x0, here, next)
        if self.start == "adams" or here.alpha == 0 or next.sigma == 0:
            return ahead, past
        there = plus(ahead, denoise(ahead, next), -next.alpha)
        return _transferred(x, here, next, (1 / 2, 1 / 2), (*sigmas, next.sigma), (*noises, there)), past


def _transferred(
    x: Tensor,
    here: Level[float],
    next: Level[float],
    weights: tuple[float, ...],
    sigmas: tuple[float, ...],
    noises: tuple[Tensor, ...],
) -> Tensor:
    """Return DDIM's step with the weighted eps's."""
    kept = next.alpha / here.alpha
    change = next.sigma - kept * here.sigma
    shares = [change * weight / sigma for weight, sigma in zip(weights, sigmas, strict=True)]
    return weighted_sum(x, kept, shares, noises)
