"""Steps of the angle between data and noise: equal ones, or few where they serve best."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge, Gt, Le
from torch import Tensor

from ...core.diffusion.process import Process, complete
from ...core.errors import ConfigError

__all__ = ["FEW_STEPS", "Angle"]

FEW_STEPS = {
    4: (0.8010, 0.4793, 0.2157),
    5: (0.8283, 0.5716, 0.3145, 0.1422),
    6: (0.8548, 0.6688, 0.4519, 0.2447, 0.1071),
    7: (0.8815, 0.7569, 0.5752, 0.3939, 0.1988, 0.0838),
    8: (0.9041, 0.8178, 0.6545, 0.5179, 0.3259, 0.1720, 0.0834),
    9: (0.9148, 0.8426, 0.7343, 0.5945, 0.4275, 0.2905, 0.1435, 0.0715),
    10: (0.9281, 0.8539, 0.7654, 0.6461, 0.5064, 0.3849, 0.2516, 0.1220, 0.0617),
}
"""Where few steps stand after the first one, in parts of its angle; found by tests/bench/few_steps.py."""


@dataclass(frozen=True)
class Angle:
    """Times at steps of ``atan(nsr**(1 / stretch))``, nsr = sigma / (sigma_data * alpha), from t = 1 to 0.

    At stretch 1 this is the angle in which the probability-flow ODE is the same for every process and smooth from noise
    to data. A larger one has more times near the data and near pure noise, which networks want and many steps afford.

    Args:
        stretch: for which the steps are equal. 0 goes by their number: four to ten are not equal, but stand where
            `spline` did best on mixtures of Gaussians in 2 and 64 dimensions and on two trained networks, see
            :data:`FEW_STEPS`; more have 1.3, chosen on the same, and fewer 1. Where denoisers are as smooth as those of
            mixtures, 1.1 is better with 30 steps and more.
        sigma_data: standard deviation of the data.
        nsr_min: no time before 0 lies below this noise-to-signal ratio; a process of a table ends at the table's
            first entry.
    """

    stretch: Annotated[float, Ge(0), Le(10)] = 0.0
    sigma_data: Annotated[float, Gt(0)] = 1.0
    nsr_min: Annotated[float, Gt(0), Le(1)] = 0.002

    def __post_init__(self) -> None:
        if 0 < self.stretch < 0.1:
            raise ConfigError(f"grid/angle: stretch: expected 0 or 0.1 to 10, got {self.stretch}")

    def times(self, process: Process, steps: int) -> Tensor:
        process = complete(process)
        ends = torch.tensor([1.0, 1 / getattr(process, "length", float("inf"))], dtype=torch.float64)
        highest, lowest = (torch.exp(-process.log_snr(ends) / 2) / self.sigma_data).tolist()
        lowest = max(self.nsr_min / self.sigma_data, lowest)
        stretch, shares = self.stretch, FEW_STEPS.get(steps)
        if not stretch and shares and math.atan(highest) * shares[-1] >= math.atan(lowest):
            angles, stretch = math.atan(highest) * torch.tensor([1.0, *shares], dtype=torch.float64), 1.0
        else:
            stretch = stretch or (1.3 if steps > max(FEW_STEPS) else 1.0)
            start, end = (math.atan(nsr ** (1 / stretch)) for nsr in (highest, lowest))
            # Equal steps down to 0, or with so many of them that the last would lie too low, down to the end.
            last = max(start / steps, end) if steps > 1 else start
            angles = torch.linspace(start, last, steps, dtype=torch.float64)
        times = process.t_of_log_snr(-2 * (stretch * torch.log(torch.tan(angles)) + math.log(self.sigma_data)))
        times[0] = 1.0
        return torch.cat([times, times.new_zeros(1)])
