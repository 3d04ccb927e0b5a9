"""Equal steps of the logarithm of the signal-to-noise ratio."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...core.diffusion.process import Process, complete
from ...core.errors import ConfigError

__all__ = ["LogSNR"]


@dataclass(frozen=True)
class LogSNR:
    """Times at equal steps of log-SNR, from t = 1 to ``high``, then 0.

    Args:
        low: log-SNR at which the equal steps begin where the process starts below it (alpha(1) = 0 is minus
            infinity); the first time is 1 all the same. -9 is an nsr of 90.
        high: log-SNR of the last time before 0. 10 is an nsr of 0.0067, and a final jump that changes
            unit-variance data by about half its square. A process of a table ends at the table's first entry.

    Source: Lu et al. 2022, arXiv 2206.00927, section 3.4 (time steps uniform in lambda, which is half of log-SNR).
    """

    low: float = -9.0
    high: float = 10.0

    def __post_init__(self) -> None:
        if self.high <= self.low:
            raise ConfigError(f"grid/log-snr: high must be above low, got {self.high} and {self.low}")

    def times(self, process: Process, steps: int) -> Tensor:
        process = complete(process)
        first = torch.tensor([1 / getattr(process, "length", float("inf")), 1.0], dtype=torch.float64)
        highest, lowest = process.log_snr(first).tolist()
        log_snr = torch.linspace(max(self.low, lowest), min(self.high, highest), steps, dtype=torch.float64)
        times = process.t_of_log_snr(log_snr)
        times[0] = 1.0
        return torch.cat([times, times.new_zeros(1)])
