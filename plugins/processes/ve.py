"""The variance-exploding SDE."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Gt
from torch import Tensor
from torch.nn.functional import softplus

from ...core.errors import ConfigError

__all__ = ["VE"]


@dataclass(frozen=True)
class VE:
    """The VE-SDE: ``alpha = 1``, ``sigma**2 = sigma_min**2 ((sigma_max / sigma_min)**(2 t) - 1)``.

    This is the exact variance of the SDE that starts at clean data, so sigma(0) = 0.

    Args:
        sigma_min: standard deviation of the noise of the first scale.
        sigma_max: that of the last one, at t = 1 (less a negligible sigma_min).

    Source: Song et al. 2021, arXiv 2011.13456, equations 29 and 31.
    """

    sigma_min: Annotated[float, Gt(0)] = 0.01
    sigma_max: Annotated[float, Gt(0)] = 50.0

    def __post_init__(self) -> None:
        if self.sigma_max <= self.sigma_min:
            raise ConfigError(
                f"process/ve: sigma_max must be above sigma_min, got {self.sigma_max} and {self.sigma_min}"
            )

    @property
    def _rate(self) -> float:
        return 2 * math.log(self.sigma_max / self.sigma_min)

    def alpha(self, t: Tensor) -> Tensor:
        return torch.ones_like(t)

    def sigma(self, t: Tensor) -> Tensor:
        return self.sigma_min * torch.sqrt(torch.expm1(self._rate * t))

    def d_alpha(self, t: Tensor) -> Tensor:
        return torch.zeros_like(t)

    def d_sigma(self, t: Tensor) -> Tensor:
        return 0.5 * self.sigma_min**2 * self._rate * torch.exp(self._rate * t) / self.sigma(t)

    def log_snr(self, t: Tensor) -> Tensor:
        return -2 * torch.log(self.sigma(t))

    def t_of_log_snr(self, log_snr: Tensor) -> Tensor:
        return softplus(-log_snr.to(torch.float64) - 2 * math.log(self.sigma_min), threshold=700) / self._rate
