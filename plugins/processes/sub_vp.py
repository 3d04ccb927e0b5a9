"""The sub-VP SDE: the variance-preserving one's mean with less noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Gt
from torch import Tensor

from .linear_rate import LinearRate

__all__ = ["SubVP"]


@dataclass(frozen=True)
class SubVP(LinearRate):
    """The sub-VP SDE: ``alpha = exp(-B / 2)``, ``sigma = 1 - exp(-B)``.

    ``B = beta_min t + (beta_max - beta_min) t**2 / 2`` is the noise rate ``beta(t)``, integrated. The variance stays
    below that of ``vp-linear``, whose square sigma is here.

    Args:
        beta_min: rate of noise at t = 0.
        beta_max: rate of noise at t = 1.

    Source: Song et al. 2021, arXiv 2011.13456, appendix B and equation 29, with the rate of equation 32.
    """

    beta_min: Annotated[float, Gt(0)] = 0.1
    beta_max: Annotated[float, Gt(0)] = 20.0

    def alpha(self, t: Tensor) -> Tensor:
        return torch.exp(-0.5 * self._integral(t))

    def sigma(self, t: Tensor) -> Tensor:
        return -torch.expm1(-self._integral(t))

    def d_alpha(self, t: Tensor) -> Tensor:
        return -0.5 * self._beta(t) * self.alpha(t)

    def d_sigma(self, t: Tensor) -> Tensor:
        return self._beta(t) * torch.exp(-self._integral(t))

    def log_snr(self, t: Tensor) -> Tensor:
        return -2 * torch.log(2 * torch.sinh(0.5 * self._integral(t)))

    def t_of_log_snr(self, log_snr: Tensor) -> Tensor:
        return self._t_of_integral(2 * torch.asinh(0.5 * torch.exp(-0.5 * log_snr.to(torch.float64))))
