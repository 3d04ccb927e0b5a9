"""The rate of noise that grows linearly in time: what the VP and the sub-VP SDE have in common."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["LinearRate"]


class LinearRate:
    """``beta(t) = beta_min + (beta_max - beta_min) t``, its integral B and the inverse of that."""

    beta_min: float
    beta_max: float

    def _beta(self, t: Tensor) -> Tensor:
        return self.beta_min + (self.beta_max - self.beta_min) * t

    def _integral(self, t: Tensor) -> Tensor:
        return self.beta_min * t + 0.5 * (self.beta_max - self.beta_min) * t**2

    def _t_of_integral(self, integral: Tensor) -> Tensor:
        slope = self.beta_max - self.beta_min
        integral = integral.clamp(max=1e300)  # of an infinite one, where no time is, the fraction would be none
        return 2 * integral / (self.beta_min + torch.sqrt(self.beta_min**2 + 2 * slope * integral))
