"""EDM's process: the noise grows linearly in time and the data stay as they are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Gt
from torch import Tensor

__all__ = ["EDM"]


@dataclass(frozen=True)
class EDM:
    """``alpha = 1``, ``sigma = sigma_max * t``: EDM's own time is ``sigma_max * t`` of ours.

    Args:
        sigma_max: standard deviation of the noise at t = 1.

    Source: Karras et al. 2022, arXiv 2206.00364, table 1.
    """

    sigma_max: Annotated[float, Gt(0)] = 80.0

    def alpha(self, t: Tensor) -> Tensor:
        return torch.ones_like(t)

    def sigma(self, t: Tensor) -> Tensor:
        return self.sigma_max * t

    def d_alpha(self, t: Tensor) -> Tensor:
        return torch.zeros_like(t)

    def d_sigma(self, t: Tensor) -> Tensor:
        return torch.full_like(t, self.sigma_max)

    def log_snr(self, t: Tensor) -> Tensor:
        return -2 * torch.log(self.sigma(t))

    def t_of_log_snr(self, log_snr: Tensor) -> Tensor:
        return torch.exp(-log_snr.to(torch.float64) / 2 - math.log(self.sigma_max))
