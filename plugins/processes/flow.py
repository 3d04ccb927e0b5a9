"""The straight line from data to noise: rectified flow, flow matching with the optimal-transport path."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Flow"]


@dataclass(frozen=True)
class Flow:
    """The linear interpolation ``x_t = (1 - t) x0 + t eps``, with t = 1 as noise.

    Source: Lipman et al. 2023, arXiv 2210.02747, equation 20 (time reversed); Liu et al. 2023, arXiv 2209.03003.
    """

    def alpha(self, t: Tensor) -> Tensor:
        return 1 - t

    def sigma(self, t: Tensor) -> Tensor:
        return t.clone()

    def d_alpha(self, t: Tensor) -> Tensor:
        return -torch.ones_like(t)

    def d_sigma(self, t: Tensor) -> Tensor:
        return torch.ones_like(t)

    def log_snr(self, t: Tensor) -> Tensor:
        return 2 * (torch.log1p(-t) - torch.log(t))

    def t_of_log_snr(self, log_snr: Tensor) -> Tensor:
        return torch.sigmoid(-log_snr.to(torch.float64) / 2)
