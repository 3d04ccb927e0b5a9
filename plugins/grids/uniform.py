"""Equal steps of the process's own time."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...core.diffusion.process import Process

__all__ = ["Uniform"]


@dataclass(frozen=True)
class Uniform:
    """Times 1 to 0 in equal steps; what flow models are mostly sampled on."""

    def times(self, process: Process, steps: int) -> Tensor:
        return torch.linspace(1, 0, steps + 1, dtype=torch.float64)
