"""The best linear prediction of the way to the data, from what the network has said of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge, Gt, Le, Lt
from torch import Tensor

from ...core.diffusion.combination import weighted_sum
from ...core.diffusion.level import Level
from ...core.diffusion.sampling import Denoise, Noise
from .spline_history import History, Reckoned

__all__ = ["Spline"]


@dataclass(frozen=True)
class Spline:
    """Integrates ``d(x / sigma) / d(alpha / sigma) = x0`` with the smoothest even curve in the angle through all x0.

    Each step takes the whole integral anew with what it knows by then: the steps before it are corrected by evaluations
    that came after them, at no cost. Order 3 (see ``integrations``), 1 NFE per step, deterministic; its state is the
    last few x0, their angles and weights. See :func:`~.even_spline.weights` for the curve.

    Args:
        memory: how many x0 are kept; with 6 the error is within a few percent of that with all of them.
        late: where the first x is nothing but noise, the share of the first step by which the network is asked late.
            At t = 1 it can but say the mean of the data; a little later it sees what x will become, while x, but for
            its scale, has hardly moved.
        integrations: how smooth x0 is taken to be: 1 for a cubic spline, of order 2, which suits rough networks best; 2
            for a quintic one, of order 3; 3 for a septic one, of order 4, which suits denoisers as smooth as those of
            mixtures. 0 begins with 2, and from the fifth step on takes for each item what would have foretold its
            newest x0 best; that was balanced for a memory of 6, and below 4 it stays at 2.
        sigma_data: standard deviation of the data, which the angle ``atan(sigma / (sigma_data * alpha))`` is about.
    """

    memory: Annotated[int, Ge(1), Le(64)] = 6
    late: Annotated[float, Ge(0), Lt(1)] = 0.3
    integrations: Literal[0, 1, 2, 3] = 0
    sigma_data: Annotated[float, Gt(0)] = 1.0

    stochastic = False
    nfe_per_step = 1
    # Where its nodes come at equal steps; and it looks at x0 to see how smooth it is.
    claims: ClassVar[Mapping[str, object]] = {"superconvergent": True}

    @property
    def order(self) -> int:
        return (self.integrations or 2) + 1

    def init(self, x: Tensor) -> None:
        return None

    def step(
        self, x: Tensor, here: Level[float], next: Level[float], denoise: Denoise, noise: Noise, state: History | None
    ) -> tuple[Tensor, History]:
        begun, end = self._angle(here), self._angle(next)
        if state is None and self.late and here.sigma > 10 * self.sigma_data * here.alpha:
            asked = begun + self.late * (end - begun)
            level = here.at_log_snr(-2 * math.log(self.sigma_data * math.tan(asked)))
            x0 = denoise(x * (self._spread(level) / self._spread(here)), level)
        else:
            asked, x0 = begun, denoise(x, here)
        known = state or History(begun, self._items(x))
        if not self.integrations:
            known = known.judged(asked, x0)
        known = known.joined_by(asked, x0)
        if next.sigma == 0:
            shares, values = known.at_the_data(self.memory)
            return _sum(x, 0.0, next.alpha, shares, values), known
        after, changes = known.integrated(end, self.memory)
        return _sum(x, next.sigma / here.sigma, next.sigma / self.sigma_data, changes, known.x0), after

    def _items(self, x: Tensor) -> tuple[Reckoned, ...]:
        return (Reckoned(self.integrations),) if self.integrations else (Reckoned(2),) * max(len(x), 1)

    def _angle(self, level: Level[float]) -> float:
        return math.atan2(level.sigma, self.sigma_data * level.alpha)

    def _spread(self, level: Level[float]) -> float:
        """Return the standard deviation of x at a level, for data of standard deviation ``sigma_data``."""
        return math.hypot(level.sigma, self.sigma_data * level.alpha)


def _sum(x: Tensor, of_x: float, scale: float, factors: Sequence[Sequence[float]], values: Sequence[Tensor]) -> Tensor:
    """Return ``of_x * x + scale * sum factors * values``: of each value one factor for all, or one for each item."""
    if factors.count(factors[0]) == len(factors):
        return weighted_sum(x, of_x, [scale * factor for factor in factors[0]], values)
    alike: dict[tuple[float, ...], list[int]] = {}
    for row, one in enumerate(factors):
        alike.setdefault(tuple(one), []).append(row)
    made = torch.empty_like(x)
    for one, numbers in alike.items():  # not by a tensor of factors, which rounds otherwise
        rows = torch.tensor(numbers, device=x.device)
        made[rows] = weighted_sum(x[rows], of_x, [scale * factor for factor in one], [value[rows] for value in values])
    return made
