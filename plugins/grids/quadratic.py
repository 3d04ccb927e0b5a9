"""DDIM's quadratic grid."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...core.diffusion.process import Process

__all__ = ["Quadratic"]


@dataclass(frozen=True)
class Quadratic:
    """Times that are the squares of equal steps, ``t = (i / steps)**2``: more of them near the data.

    On a process of a table it is the index that is ``(length - 1) (i / (steps - 1))**2``, from the last entry to the
    first, and then 0. It is not rounded, since rounding would give the first entries twice.

    Source: Song et al. 2021, arXiv 2010.02502, appendix D.2.
    """

    def times(self, process: Process, steps: int) -> Tensor:
        length: int | None = getattr(process, "length", None)
        if length is None:
            return torch.linspace(1, 0, steps + 1, dtype=torch.float64) ** 2
        index = (length - 1) * torch.linspace(1, 0, steps, dtype=torch.float64) ** 2
        return torch.cat([(index + 1) / length, index.new_zeros(1)])
