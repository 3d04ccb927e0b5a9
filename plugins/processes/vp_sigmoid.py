"""The variance-preserving process whose alpha_bar falls like a sigmoid."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Gt
from torch import Tensor
from torch.nn.functional import softplus

from ...core.errors import ConfigError

__all__ = ["SigmoidVP"]


@dataclass(frozen=True)
class SigmoidVP:
    """The sigmoid schedule: ``alpha**2 = (S(b) - S(u)) / (S(b) - S(a))``, ``u = a + (b - a) t``.

    S is the logistic function, a = start / tau and b = end / tau. alpha(1) is exactly 0, and its slope infinite there,
    so predictions that say nothing of x0 at t = 1 (eps, score, velocity) do not go with it.

    Args:
        start: where on the sigmoid the data are.
        end: where on it the noise is.
        tau: temperature; the larger, the straighter alpha**2.

    Source: Jabri et al. 2022, arXiv 2212.11972, section 3; Chen 2023, arXiv 2301.10972, algorithm 1.
    """

    start: float = -3.0
    end: float = 3.0
    tau: Annotated[float, Gt(0)] = 1.0

    def __post_init__(self) -> None:
        if not self.start < self.end:
            raise ConfigError(f"process/vp-sigmoid: end must be above start, got {self.end} and {self.start}")

    @property
    def _ends(self) -> tuple[float, float]:
        return self.start / self.tau, self.end / self.tau

    @property
    def _offset(self) -> float:
        """log S(b) - log S(-a)."""
        a, b = self._ends
        return _softplus(a) - _softplus(-b)

    def alpha(self, t: Tensor) -> Tensor:
        return torch.sqrt(torch.sigmoid(self.log_snr(t)))

    def sigma(self, t: Tensor) -> Tensor:
        return torch.sqrt(torch.sigmoid(-self.log_snr(t)))

    def _d_alpha_bar(self, t: Tensor) -> Tensor:
        a, b = self._ends
        u = a + (b - a) * t
        height = -math.exp(-_softplus(-b) - _softplus(a)) * math.expm1(a - b)  # S(b) - S(a)
        return -(b - a) * torch.sigmoid(u) * torch.sigmoid(-u) / height

    def d_alpha(self, t: Tensor) -> Tensor:
        return self._d_alpha_bar(t) / (2 * self.alpha(t))

    def d_sigma(self, t: Tensor) -> Tensor:
        return -self._d_alpha_bar(t) / (2 * self.sigma(t))

    def log_snr(self, t: Tensor) -> Tensor:
        # From S(p) - S(q) = S(p) S(-q) (1 - exp(q - p)), which loses nothing at either end.
        a, b = self._ends
        left, passed = torch.log(-torch.expm1((a - b) * (1 - t))), torch.log(-torch.expm1((a - b) * t))
        return left - passed + (self._offset - a - (b - a) * t)

    def t_of_log_snr(self, log_snr: Tensor) -> Tensor:
        a, b = self._ends
        half = (b - a) / 2
        # The symmetric part of log-SNR, log(sinh(half (1 - t)) / sinh(half t)); far below -half it is t = 1.
        inner = (log_snr.to(torch.float64) + (a + b) / 2 - self._offset).clamp(min=-half - 60)
        return (softplus(half - inner, threshold=700) - softplus(-half - inner, threshold=700)) / (b - a)


def _softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))
