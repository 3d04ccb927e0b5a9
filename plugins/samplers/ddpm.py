"""Ancestral sampling of DDPM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from annotated_types import Ge
from torch import Tensor

from ...core.level import Level
from ...core.sampling import Denoise, Noise

__all__ = ["DDPM"]


@dataclass(frozen=True)
class DDPM:
    """Draws from the Gaussian posterior q(x_next | x_here, x0), with the predicted x0 in the place of the true one.

    Order 1 in distribution, 1 NFE per step, stochastic, keeps no state. Written for any alpha and sigma.

    Args:
        variance: "small" is the posterior's own variance, exact for data of one point; "large" is exact for data of
            unit variance, and on variance-preserving processes that of the forward step.
        clip: bound that x0 is held to, -clip to clip, as models of pixels want it. 0 is none.

    Source: Ho et al. 2020, arXiv 2006.11239, equations 6 and 7; Kingma et al. 2021, arXiv 2107.00630, appendix A.2.
    """

    variance: Literal["small", "large"] = "small"
    clip: Annotated[float, Ge(0)] = 0.0

    order = 1
    stochastic = True
    nfe_per_step = 1

    def init(self, x: Tensor) -> None:
        return None

    def step(
        self, x: Tensor, here: Level[float], next: Level[float], denoise: Denoise, noise: Noise, state: None
    ) -> tuple[Tensor, None]:
        kept = here.alpha / next.alpha
        added = here.sigma**2 - (kept * next.sigma) ** 2  # variance of the forward step from next to here
        share = next.sigma**2 / here.sigma**2
        x0 = denoise(x, here)
        if self.clip:
            x0 = x0.clamp(-self.clip, self.clip)
        mean = torch.add(x * (kept * share), x0, alpha=next.alpha * added / here.sigma**2)
        if next.sigma == 0:
            return mean, None
        if self.variance == "large":  # of x_next given x, if the data were N(0, 1); on VP processes that is `added`
            share = (next.alpha**2 + next.sigma**2) / (here.alpha**2 + here.sigma**2)
        variance = added * share
        return mean.add_(noise(), alpha=max(variance, 0.0) ** 0.5), None
