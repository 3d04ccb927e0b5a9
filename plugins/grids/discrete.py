"""The three conventions by which a table of ``length`` time steps is thinned out to a few.

Index ``i`` of the table stands at ``t = (i + 1) / length``. On a process without a table, 1000 is its length.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge
from torch import Tensor

from ...core.diffusion.process import Process
from ...core.errors import ConfigError

__all__ = ["Leading", "Linspace", "Trailing"]


def _times(indices: Tensor, length: int, *, to_zero: bool) -> Tensor:
    end = torch.tensor([0.0 if to_zero else 1 / length], dtype=torch.float64)
    return torch.cat([(indices.double() + 1) / length, end])


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
        drop_last: thin out to one index more and leave out the last, as DPM-Solver's code does.
        to_zero: end at t = 0; otherwise at the table's first entry, as Stable Diffusion's DDIM does.

    Source: Lin et al. 2024, arXiv 2305.08891, table 2.
    """

    offset: Annotated[int, Ge(0)] = 0
    drop_last: bool = False
    to_zero: bool = True

    claims: ClassVar[Mapping[str, object]] = {"starts_at_noise": False}

    def times(self, process: Process, steps: int) -> Tensor:
        count = steps + self.drop_last
        length = _length(process, count)
        indices = torch.arange(count).flip(0)[:steps] * (length // count) + self.offset
        return _times(indices.clamp(max=length - 1), length, to_zero=self.to_zero)


@dataclass(frozen=True)
class Trailing:
    """Indices from the last one down in steps of length / steps, rounded: starts at t = 1.

    Args:
        to_zero: end at t = 0; otherwise at the table's first entry.

    Source: Lin et al. 2024, arXiv 2305.08891, table 2.
    """

    to_zero: bool = True

    def times(self, process: Process, steps: int) -> Tensor:
        length = _length(process, steps)
        indices = (length - torch.arange(steps, dtype=torch.float64) * length / steps).round() - 1
        return _times(indices, length, to_zero=self.to_zero)


@dataclass(frozen=True)
class Linspace:
    """Indices from the last to the first in equal steps, rounded: visits both ends of the table.

    Args:
        drop_last: spread one index more and leave out the last, as DPM-Solver's code does.

    Source: Lin et al. 2024, arXiv 2305.08891, table 2.
    """

    drop_last: bool = False

    def times(self, process: Process, steps: int) -> Tensor:
        count = steps + self.drop_last
        length = _length(process, count)
        indices = torch.linspace(length - 1, 0, count, dtype=torch.float64).round()[:steps]
        return _times(indices, length, to_zero=True)
