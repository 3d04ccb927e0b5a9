"""Times of a process in the counting of diffusers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from ...core.diffusion.level import Level
from ...core.diffusion.process import CompleteProcess, level_at

__all__ = ["Timesteps"]


@dataclass(frozen=True)
class Timesteps:
    """Index i of a table stands at t = (i + 1) / length and is timestep i; without a table t is timestep t * length.

    Args:
        process: whose times these are.
        length: of the table, or the timestep of t = 1.
        table: whether there is one.
    """

    process: CompleteProcess
    length: float
    table: bool

    def of(self, levels: Iterable[Level[float]]) -> Tensor:
        """Return the timesteps of moments: whole numbers if they are all entries of the table, else float32."""
        times = torch.tensor([level.t for level in levels], dtype=torch.float64)
        timesteps = (times * self.length - int(self.table)).clamp(min=0)
        whole = timesteps.round()
        timesteps = torch.where((timesteps - whole).abs() < 1e-6, whole, timesteps)
        entries = self.table and torch.equal(timesteps, whole)
        return timesteps.to(torch.int64 if entries else torch.float32)

    def levels(self, timesteps: Tensor | float) -> Level[Tensor]:
        """Return the moments of timesteps (batch,)."""
        told = torch.as_tensor(timesteps).cpu().double().reshape(-1)
        return level_at(self.process, (told + int(self.table)) / self.length)
