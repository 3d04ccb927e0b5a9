"""Classifier-free guidance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge, Le
from torch import Tensor

from ...core.diffusion.denoiser import Conditioned
from ...core.diffusion.level import Level
from ...core.diffusion.sampling import Denoise
from ...core.errors import ConfigError

__all__ = ["ClassifierFree"]

Share = Annotated[float, Ge(0), Le(1)]


@dataclass(frozen=True)
class ClassifierFree:
    """``x0 = x0_null + scale * (x0_cond - x0_null)``; both are made in one call of twice the rows.

    x0 and eps are linear in each other at a given x_t, so this is the same as guiding eps.

    Args:
        scale: 1 is the conditional model as it is (one call), 0 the unconditional one, above 1 more of the condition.
        rescale: share of the guided x0 that is brought back to the standard deviation of the conditional one, which
            keeps large scales from over-saturating.
        interval: times (from, to) in [0, 1] within which guidance is on; outside it the conditional model is called
            alone, at half the cost.

    Source: Ho and Salimans 2022, arXiv 2207.12598, equation 6 (scale here is w + 1 there); Lin et al. 2024, arXiv
    2305.08891, equations 15 and 16; Kynkäänniemi et al. 2024, arXiv 2404.07724.
    """

    scale: Annotated[float, Ge(-1000), Le(1000)] = 2.0
    rescale: Share = 0.0
    interval: tuple[Share, Share] = (0.0, 1.0)

    def __post_init__(self) -> None:
        if self.interval[0] > self.interval[1]:
            raise ConfigError(f"guidance/cfg: interval: expected (from, to) with from <= to, got {self.interval}")

    def wrap(self, denoise: Conditioned, cond: Mapping[str, Tensor], null: Mapping[str, Tensor]) -> Denoise:
        first, last = self.interval
        both = {name: torch.cat([value, null[name]]) for name, value in cond.items()}

        def guided(x: Tensor, level: Level[float]) -> Tensor:
            if self.scale == 1 or not both or not first <= level.t <= last:
                return denoise(x, level, cond)
            with_cond, without = denoise(torch.cat([x, x]), level, both).chunk(2)
            x0 = torch.lerp(without, with_cond, self.scale)
            return self._rescaled(x0, with_cond) if self.rescale else x0

        return guided

    def _rescaled(self, x0: Tensor, with_cond: Tensor) -> Tensor:
        axes = tuple(range(1, x0.ndim))
        wanted, spread = (one.std(axes, correction=0, keepdim=True) for one in (with_cond, x0))
        factor = torch.where(spread > 0, wanted / spread, 1.0)  # a constant item has no spread to bring back
        return x0 * (1 + self.rescale * (factor - 1))
