"""EDM's grid: equal steps of a root of the noise-to-signal ratio."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge, Gt
from torch import Tensor

from ...core.diffusion.process import Process, complete
from ...core.errors import ConfigError
from .noise_ratio import ends, times_at

__all__ = ["Karras"]


@dataclass(frozen=True)
class Karras:
    """Times at equal steps of ``nsr**(1 / rho)``, nsr = sigma / alpha, from t = 1 to ``nsr_min``, then 0.

    Args:
        rho: the larger, the denser near the data.
        nsr_min: noise-to-signal ratio of the last time before 0 (EDM's sigma_min). A process of a table ends at the
            table's first entry.
        nsr_max: where the steps begin if the process starts above it (EDM's sigma_max); the first time is 1 all
            the same.

    Source: Karras et al. 2022, arXiv 2206.00364, equation 5.
    """

    rho: Annotated[float, Ge(0.1)] = 7.0
    nsr_min: Annotated[float, Gt(0)] = 0.002
    nsr_max: Annotated[float, Gt(0)] = 80.0

    def __post_init__(self) -> None:
        if self.nsr_max <= self.nsr_min:
            raise ConfigError(f"grid/karras: nsr_max must be above nsr_min, got {self.nsr_max} and {self.nsr_min}")

    def times(self, process: Process, steps: int) -> Tensor:
        process = complete(process)
        start, end = (nsr ** (1 / self.rho) for nsr in ends(process, self.nsr_min, self.nsr_max))
        return times_at(process, torch.linspace(start, end, steps, dtype=torch.float64) ** self.rho)
