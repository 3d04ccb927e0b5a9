"""The three conventions by which a table of ``length`` time steps is thinned out to a few.

Index ``i`` of the table stands at ``t = (i + 1) / length``. On a process without a table, 1000 is its length.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor

from ...core.errors import ConfigError
from ...core.process import Process

__all__ = ["Leading", "Linspace", "Trailing"]


def _times(indices: Tensor, length: int) -> Tensor:
    return torch.cat([(indices.double() + 1) / length, torch.zeros(1, dtype=torch.float64)])


def _length(process: Process, steps: int) -> int:
    length = getattr(process, "length", 1000)
    if steps > length:
        raise ConfigError(f"steps: this grid thins out a table of {length} times and cannot give {steps}; use fewer")
    return int(length)


@dataclass(frozen=True)
class Leading:
    """Indices ``0, r, 2r, …`` with r = length // steps, from the largest down: DDIM's own, which never visits t = 1.

    Args:
        offset: added to each index; Stable Diffusion uses 1.

    Source: Lin et al. 2024, arXiv 2305.08891, table 2.
    """

    offset: Annotated[int, Ge(0)] = 0

    def times(self, process: Process, steps: int) -> Tensor:
        length = _length(process, steps)
        indices = torch.arange(steps).flip(0) * (length // steps) + self.offset
        return _times(indices.clamp(max=length - 1), length)


class Trailing:
    """Indices from the last one down in steps of length / steps, rounded: starts at t = 1.

    Source: Lin et al. 2024, arXiv 2305.08891, table 2.
    """

    def times(self, process: Process, steps: int) -> Tensor:
        length = _length(process, steps)
        return _times((length - torch.arange(steps, dtype=torch.float64) * length / steps).round() - 1, length)


class Linspace:
    """Indices from the last to the first in equal steps, rounded: visits both ends of the table.

    Source: Lin et al. 2024, arXiv 2305.08891, table 2.
    """

    def times(self, process: Process, steps: int) -> Tensor:
        length = _length(process, steps)
        return _times(torch.linspace(length - 1, 0, steps, dtype=torch.float64).round(), length)
