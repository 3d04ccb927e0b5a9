"""Restart: the ODE down, some way back up with fresh noise, and down again."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

from annotated_types import Ge, Le, Len
from torch import Tensor

from ...core.diffusion.combination import combined
from ...core.diffusion.level import Level
from ...core.diffusion.sampling import Denoise, Noise
from ...core.diffusion.sde import forward
from ...core.errors import ConfigError
from .heun import Heun

__all__ = ["Restart"]

Nsr = Annotated[float, Ge(1e-3), Le(1e4)]
Count = Annotated[int, Ge(1)]
Interval = tuple[Nsr, Nsr, Count, Count]
"""Lower and upper end, how often it is gone through again, steps for each time."""

CLOSE = 1e-6
"""Difference of log-SNR up to which a level of the grid counts as an interval's lower end."""


@dataclass(frozen=True)
class Restart:
    """Heun's steps; past an interval's lower end the noise is raised to its upper end and taken down again, some times.

    The noise contracts what errors the way down has gathered, and the ODE makes few new ones. Order 2 in distribution
    where the intervals' own steps grow with the others; 2 NFE per step, and more in a step that passes a lower end: 2
    for the way to that end and ``2 * times * steps`` for the interval. Stochastic; its state is the level at which the
    run began, beyond which no upper end lies. Levels within an interval are EDM's, even in nsr**(1 / 7).

    Args:
        intervals: for each the lower end and the upper end in nsr = sigma / alpha, how many times it is gone through
            again, and in how many steps.

    Source: Xu et al. 2023, arXiv 2306.14878, section 3; several intervals as in its experiments.
    """

    intervals: Annotated[tuple[Interval, ...], Len(1)] = ((0.06, 0.3, 2, 3),)

    order = 2
    stochastic = True
    nfe_per_step = 2
    nfe_varies = True

    def __post_init__(self) -> None:
        for low, high, *_ in self.intervals:
            if high <= low:
                raise ConfigError(f"sampler/restart: an interval's upper end must be above {low}, got {high}")

    def init(self, x: Tensor) -> None:
        return None

    def step(
        self,
        x: Tensor,
        here: Level[float],
        next: Level[float],
        denoise: Denoise,
        noise: Noise,
        state: Level[float] | None,
    ) -> tuple[Tensor, Level[float]]:
        ode, first, reached = Heun(), here if state is None else state, here
        for index, (low, high, times, steps) in enumerate(sorted(self.intervals, reverse=True)):
            if not here.log_snr + CLOSE < _log_snr(low) <= next.log_snr + CLOSE:
                continue
            end = here.at_log_snr(_log_snr(low))
            end = next if end.log_snr >= next.log_snr - CLOSE else end
            if end.log_snr > reached.log_snr + CLOSE:
                x, _ = ode.step(x, reached, end, denoise, noise, None)
            way = tuple(_way(max(_log_snr(high), first.log_snr), end, steps))
            up = forward(end, way[0])
            for number in range(1, times + 1):
                x = combined(x, up.of_x, noise(f"restart-{index}-{number}"), up.deviation)
                for one, other in pairwise(way):
                    x, _ = ode.step(x, one, other, denoise, noise, None)
            reached = end
        return (x if reached is next else ode.step(x, reached, next, denoise, noise, None)[0]), first


def _log_snr(nsr: float) -> float:
    return -2 * math.log(nsr)


def _way(log_snr: float, end: Level[float], steps: int) -> Iterator[Level[float]]:
    """Yield the levels from the one of this log-SNR down to ``end``."""
    top = end.at_log_snr(log_snr)
    first = math.exp(-log_snr / 2) ** (1 / 7)
    last = (end.sigma / end.alpha) ** (1 / 7)
    yield top
    for number in range(1, steps):
        yield end.at_log_snr(7 * _log_snr(first + (last - first) * number / steps))
    yield end
