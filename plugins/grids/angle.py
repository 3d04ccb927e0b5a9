"""Equal steps of the angle between data and noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Gt
from torch import Tensor

from ...core.diffusion.process import Process, complete

__all__ = ["Angle"]


@dataclass(frozen=True)
class Angle:
    """Times at equal steps of ``theta = atan(sigma / (sigma_data * alpha))``, from t = 1 to 0.

    In theta the probability-flow ODE is the same for every process and smooth from noise to data.

    Args:
        power: theta falls like ``(1 - i / steps)**power``; above 1 the steps get shorter towards the data.
        sigma_data: standard deviation of the data.
        nsr_min: no time before 0 lies below this noise-to-signal ratio; a process of a table ends at the table's
            first entry.
    """

    power: Annotated[float, Gt(0)] = 1.0
    sigma_data: Annotated[float, Gt(0)] = 1.0
    nsr_min: Annotated[float, Gt(0)] = 0.002

    def times(self, process: Process, steps: int) -> Tensor:
        process = complete(process)
        ends = torch.tensor([1.0, 1 / getattr(process, "length", float("inf"))], dtype=torch.float64)
        highest, lowest = torch.exp(-process.log_snr(ends) / 2).tolist()
        start, end = (math.atan(nsr / self.sigma_data) for nsr in (highest, max(self.nsr_min, lowest)))
        share = torch.linspace(1, 1 / steps, steps, dtype=torch.float64) ** self.power
        low = max(share[-1].item(), end / start)  # so many steps that the last would lie too low are spread above it
        theta = start * (low + (1 - low) * (share - share[-1]) / (1 - share[-1]) if steps > 1 else share)
        times = process.t_of_log_snr(-2 * torch.log(self.sigma_data * torch.tan(theta)))
        times[0] = 1.0
        return torch.cat([times, times.new_zeros(1)])
