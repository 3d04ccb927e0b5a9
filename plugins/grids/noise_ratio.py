"""What the grids in the noise-to-signal ratio share: where it begins and ends, and the times that it belongs to."""

from __future__ import annotations

import torch
from torch import Tensor

from ...core.diffusion.process import CompleteProcess

__all__ = ["ends", "times_at"]


def ends(process: CompleteProcess, nsr_min: float, nsr_max: float) -> tuple[float, float]:
    """Return the largest and the smallest nsr, of those given, that a process has; a table ends at its first entry."""
    t = torch.tensor([1.0, 1 / getattr(process, "length", float("inf"))], dtype=torch.float64)
    highest, lowest = torch.exp(-process.log_snr(t) / 2).tolist()
    return min(nsr_max, highest), max(nsr_min, lowest)


def times_at(process: CompleteProcess, nsr: Tensor) -> Tensor:
    """Return the times (steps + 1,) of a falling nsr (steps,), the first of them 1 all the same, and 0 at the end."""
    times = process.t_of_log_snr(-2 * torch.log(nsr))
    times[0] = 1.0
    return torch.cat([times, times.new_zeros(1)])
