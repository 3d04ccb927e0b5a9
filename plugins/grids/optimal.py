"""Times that were computed for a model, as its folder keeps them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

import torch
from annotated_types import Gt, MaxLen, MinLen
from torch import Tensor

from ...core.diffusion.process import Process, complete
from ...core.errors import ConfigError
from ...core.limits import MAX_STEPS
from .noise_ratio import ends

__all__ = ["Optimal"]


@dataclass(frozen=True)
class Optimal:
    """Times that were computed for a model, as ``noiseform grid`` writes them into its folder.

    A number of steps that has a list visits that list's ratios between t = 1 and 0. For another number the nearest list
    is read as a curve, the angle ``theta = atan(sigma / alpha)`` over ``i / steps``, monotone between its points.
    Without any list there is nothing to go by, and the steps of theta are equal.

    Args:
        nsr: falling noise-to-signal ratios sigma / alpha, a list for each number of steps, of those times that lie
            between the first, t = 1, and the last, 0: three ratios are four steps. A process of a table ends at the
            table's first entry.

    Source: the curve is that of Fritsch and Butland 1984, SIAM J. Sci. Stat. Comput. 5(2), equation 1.
    """

    nsr: Annotated[
        Sequence[Annotated[Sequence[Annotated[float, Gt(0)]], MinLen(1), MaxLen(MAX_STEPS - 1)]], MaxLen(100)
    ] = ()

    def __post_init__(self) -> None:
        numbers = [len(one) + 1 for one in self.nsr]
        if len(set(numbers)) < len(numbers):
            raise ConfigError(f"grid/optimal: nsr: lists for {numbers} steps; give one list for each number of steps")
        for number, one in zip(numbers, self.nsr, strict=True):
            if not math.isfinite(one[0]) or any(here <= next for here, next in pairwise(one)):
                raise ConfigError(f"grid/optimal: nsr: the list for {number} steps does not fall; correct it")

    def times(self, process: Process, steps: int) -> Tensor:
        process = complete(process)
        start, end = map(math.atan, ends(process, 0.0, math.inf))
        near = min(self.nsr, key=lambda one: abs(math.log((len(one) + 1) / steps)), default=())
        theta = torch.tensor([math.pi / 2, *map(math.atan, near), 0.0], dtype=torch.float64)
        if theta[1] >= start:  # a process that begins with less noise than the list's first time has
            theta *= start / (math.pi / 2)
        theta[0] = start
        theta = (theta if len(theta) == steps + 1 else _thinned(theta, steps))[:-1]
        if theta[-1] < end:  # a table's first entry lies higher: the last time is that one, the others are moved along
            theta = start - (start - theta) * ((start - end) / (start - theta[-1]))
        times = process.t_of_log_snr(-2 * torch.log(torch.tan(theta)))
        times[0] = 1.0
        return torch.cat([times, times.new_zeros(1)])


def _thinned(theta: Tensor, steps: int) -> Tensor:
    """Return ``steps + 1`` points of the monotone cubic curve through falling points, all in equal steps."""
    rise = theta.diff()
    inner = 2 * rise[1:] * rise[:-1] / (rise[1:] + rise[:-1])
    slope = torch.cat([rise[:1], inner, rise[-1:]])
    place = torch.linspace(0, len(rise), steps + 1, dtype=torch.float64)
    piece = place.floor().long().clamp(max=len(rise) - 1)
    u = place - piece
    here, next = theta[piece], theta[piece + 1]
    begun, ended = slope[piece], slope[piece + 1]
    return here + (next - here) * u**2 * (3 - 2 * u) + u * (1 - u) * ((1 - u) * begun - u * ended)
