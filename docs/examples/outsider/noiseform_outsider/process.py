"""A process: two functions of time. Derivatives, log-SNR and its inverse are derived where a process lacks them."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from annotated_types import Gt


class CosinePower:
    """A quarter turn from data to noise, ``x_t = cos(a) x0 + sin(a) eps`` with ``a = pi / 2 * t**power``.

    Args:
        power: above 1 it stays longer near the data, below 1 near the noise.
    """

    def __init__(self, power: Annotated[float, Gt(0)] = 1.0) -> None:
        self.power = power

    def alpha(self, t: torch.Tensor) -> torch.Tensor:
        return torch.cos(math.pi / 2 * t**self.power)

    def sigma(self, t: torch.Tensor) -> torch.Tensor:
        return torch.sin(math.pi / 2 * t**self.power)
