"""The variance-preserving process whose alpha falls like a cosine."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge, Lt
from torch import Tensor

__all__ = ["CosineVP"]


@dataclass(frozen=True)
class CosineVP:
    """The cosine schedule in continuous time: ``alpha = cos(u(t)) / cos(u(0))``, ``u = (t + s) / (1 + s) * pi / 2``.

    alpha(1) is exactly 0, so predictions that say nothing of x0 there (eps, score) do not go with it.

    Args:
        offset: s, which keeps the noise near t = 0 from vanishing too fast.

    Source: Nichol and Dhariwal 2021, arXiv 2102.09672, equation 17.
    """

    offset: Annotated[float, Ge(0), Lt(1)] = 0.008

    @property
    def _start(self) -> float:
        return self.offset / (1 + self.offset) * math.pi / 2

    @property
    def _rate(self) -> float:
        return math.pi / 2 / (1 + self.offset)

    def alpha(self, t: Tensor) -> Tensor:
        return torch.sin(self._rate * (1 - t)) / math.cos(self._start)  # cos(u), written to be exactly 0 at t = 1

    def sigma(self, t: Tensor) -> Tensor:
        # sqrt(1 - alpha**2) without cancellation: cos(a)**2 - cos(b)**2 = sin(b - a) sin(b + a)
        passed = self._rate * t
        return torch.sqrt(torch.sin(passed) * torch.sin(passed + 2 * self._start)) / math.cos(self._start)

    def d_alpha(self, t: Tensor) -> Tensor:
        return -self._rate * torch.cos(self._rate * (1 - t)) / math.cos(self._start)

    def d_sigma(self, t: Tensor) -> Tensor:
        return -self.alpha(t) * self.d_alpha(t) / self.sigma(t)

    def log_snr(self, t: Tensor) -> Tensor:
        return 2 * (torch.log(self.alpha(t)) - torch.log(self.sigma(t)))

    def t_of_log_snr(self, log_snr: Tensor) -> Tensor:
        alpha = torch.sqrt(torch.sigmoid(log_snr.to(torch.float64)))
        return 1 - torch.asin(alpha * math.cos(self._start)) / self._rate
