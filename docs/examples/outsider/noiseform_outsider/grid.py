"""A grid: which times are visited, from 1 down to 0."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Gt


class Power:
    """Times ``(1 - i / steps)**power``.

    Args:
        power: above 1 the times are denser near the data.
    """

    def __init__(self, power: Annotated[float, Gt(0)] = 2.0) -> None:
        self.power = power

    def times(self, process: object, steps: int) -> torch.Tensor:
        return torch.linspace(1, 0, steps + 1, dtype=torch.float64) ** self.power
