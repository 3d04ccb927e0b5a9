"""The geometric grid: equal steps of the logarithm of the noise-to-signal ratio."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Gt
from torch import Tensor

from ...core.diffusion.process import Process, complete
from ...core.errors import ConfigError
from .noise_ratio import ends, times_at

__all__ = ["Exponential"]


@dataclass(frozen=True)
class Exponential:
    """Times at equal steps of ``log(nsr)``, nsr = sigma / alpha, from t = 1 to ``nsr_min``, then 0.

    ``karras`` without end of rho; ``log-snr`` between the ends of ``karras``.

    Args:
        nsr_min: noise-to-signal ratio of the last time before 0. A process of a table ends at the table's first entry.
        nsr_max: where the steps begin if the process starts above it; the first time is 1 all the same.

    Source: the geometric noise scales of Song and Ermon 2019, arXiv 1907.05600, section 4.2; k-diffusion and diffusers
    call it exponential.
    """

    nsr_min: Annotated[float, Gt(0)] = 0.002
    nsr_max: Annotated[float, Gt(0)] = 80.0

    def __post_init__(self) -> None:
        if self.nsr_max <= self.nsr_min:
            raise ConfigError(f"grid/exponential: nsr_max must be above nsr_min, got {self.nsr_max} and {self.nsr_min}")

    def times(self, process: Process, steps: int) -> Tensor:
        process = complete(process)
        first, last = ends(process, self.nsr_min, self.nsr_max)
        return times_at(process, torch.linspace(math.log(first), math.log(last), steps, dtype=torch.float64).exp())
