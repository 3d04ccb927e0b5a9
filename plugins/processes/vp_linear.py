"""The variance-preserving SDE with a linear rate of noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Gt
from torch import Tensor
from torch.nn.functional import softplus

from .linear_rate import LinearRate

__all__ = ["LinearVP"]


@dataclass(frozen=True)
class LinearVP(LinearRate):
    """The VP-SDE: ``alpha = exp(-B / 2)``, ``sigma**2 = 1 - alpha**2``.

    ``B = beta_min t + (beta_max - beta_min) t**2 / 2`` is the noise rate ``beta(t)``, integrated.

    Args:
        beta_min: rate of noise at t = 0.
        beta_max: rate of noise at t = 1.

    Source: Song et al. 2021, arXiv 2011.13456, equation 32 (the continuous limit of DDPM's linear schedule).
    """

    beta_min: Annotated[float, Gt(0)] = 0.1
    beta_max: Annotated[float, Gt(0)] = 20.0

    def alpha(self, t: Tensor) -> Tensor:
        return torch.exp(-0.5 * self._integral(t))

    def sigma(self, t: Tensor) -> Tensor:
        return torch.sqrt(-torch.expm1(-self._integral(t)))

    def d_alpha(self, t: Tensor) -> Tensor:
        return -0.5 * self._beta(t) * self.alpha(t)

    def d_sigma(self, t: Tensor) -> Tensor:
        return 0.5 * self._beta(t) * self.alpha(t) ** 2 / self.sigma(t)

    def log_snr(self, t: Tensor) -> Tensor:
        return -torch.log(torch.expm1(self._integral(t)))

    def t_of_log_snr(self, log_snr: Tensor) -> Tensor:
        return self._t_of_integral(softplus(-log_snr.to(torch.float64), threshold=700))
