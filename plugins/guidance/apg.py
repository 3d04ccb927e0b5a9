"""Adaptive projected guidance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge, Gt, Le
from torch import Tensor

from ...core.diffusion.denoiser import Conditioned
from ...core.diffusion.level import Level
from ...core.diffusion.sampling import Denoise

__all__ = ["AdaptiveProjected"]


@dataclass(frozen=True)
class AdaptiveProjected:
    """Classifier-free guidance less what makes large scales over-saturate.

    The difference d of the conditional and the unconditional x0 is held to a length, slowed down by a negative
    momentum, and split at the conditional x0 into a parallel part, which mostly turns up contrast, and an orthogonal
    one: ``x0 = x0_cond + (scale - 1) * (d_orthogonal + parallel * d_parallel)``. Two rows of network an item, like cfg.

    Args:
        scale: as of cfg; 1 is the conditional model as it is (one call).
        parallel: share of the parallel part that is kept; 1 with no momentum and no limit is cfg.
        limit: largest root mean square of the difference; 0 is none. (The paper's r is this times the square root of
            the number of values.)
        momentum: factor of the sum of the differences before; negative pushes away from them.

    Source: Sadat et al. 2024, arXiv 2410.02416, algorithm 1 and equations 8 to 12.
    """

    scale: Annotated[float, Ge(-1000), Le(1000)] = 4.0
    parallel: Annotated[float, Ge(0), Le(1)] = 0.0
    limit: Annotated[float, Ge(0)] = 0.0
    momentum: Annotated[float, Gt(-1), Le(0)] = -0.5

    def wrap(self, denoise: Conditioned, cond: Mapping[str, Tensor], null: Mapping[str, Tensor]) -> Denoise:
        both = {name: torch.cat([value, null[name]]) for name, value in cond.items()}
        before: Tensor | None = None

        def guided(x: Tensor, level: Level[float]) -> Tensor:
            nonlocal before
            if self.scale == 1 or not both:
                return denoise(x, level, cond)
            with_cond, without = denoise(torch.cat([x, x]), level, both).chunk(2)
            change = with_cond - without
            if before is not None and self.momentum:
                change = change + self.momentum * before
            before = change
            return with_cond + (self.scale - 1) * self._projected(change, with_cond)

        return guided

    def _projected(self, change: Tensor, onto: Tensor) -> Tensor:
        """Return the change held to its length, with less of what is parallel to ``onto``; item by item."""
        axes = tuple(range(1, change.ndim))
        if self.limit:
            size = change.square().mean(axes, keepdim=True).sqrt()
            change = change * (self.limit / size.clamp(min=1e-12)).clamp(max=1)
        product = (change * onto).sum(axes, keepdim=True)
        along = product / onto.square().sum(axes, keepdim=True).clamp(min=1e-12) * onto
        return change - (1 - self.parallel) * along
