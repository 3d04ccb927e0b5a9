"""No guidance: the conditioning as it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from ...core.diffusion.denoiser import Conditioned
from ...core.diffusion.level import Level
from ...core.diffusion.sampling import Denoise

__all__ = ["NoGuidance"]


class NoGuidance:
    """Denoises with the conditioning asked for, one call a step."""

    negative = False
    claims: ClassVar[Mapping[str, object]] = {"neutral": {}, "leads": False}

    def wrap(self, denoise: Conditioned, cond: Mapping[str, Tensor], null: Mapping[str, Tensor]) -> Denoise:
        def conditional(x: Tensor, level: Level[float]) -> Tensor:
            return denoise(x, level, cond)

        return conditional
