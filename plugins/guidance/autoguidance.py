"""Autoguidance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Le
from torch import Tensor

from ...core.diffusion.denoiser import Conditioned
from ...core.diffusion.level import Level
from ...core.diffusion.sampling import Denoise

__all__ = ["Autoguidance"]


@dataclass(frozen=True)
class Autoguidance:
    """``x0 = x0_weak + scale * (x0 - x0_weak)``: away from the errors that a weaker model makes more of.

    The weaker model, smaller or trained for less long on the same data, is the one whose model folder ``weights``
    names. It is asked for the same, so nothing is lost of the variety within a label. One call of each network an item.

    Args:
        scale: 1 is the model as it is (one call), above 1 further away from the weaker one.

    Source: Karras et al. 2024, arXiv 2406.02507.
    """

    scale: Annotated[float, Ge(-1000), Le(1000)] = 2.0

    guide: ClassVar[str] = "denoiser"
    negative: ClassVar[bool] = False

    def wrap(
        self,
        denoise: Conditioned,
        cond: Mapping[str, Tensor],
        null: Mapping[str, Tensor],
        guide: Callable[[Tensor, Level[float]], Tensor] | None = None,
    ) -> Denoise:
        def guided(x: Tensor, level: Level[float]) -> Tensor:
            x0 = denoise(x, level, cond)
            return x0 if guide is None or self.scale == 1 else torch.lerp(guide(x, level), x0, self.scale)

        return guided
