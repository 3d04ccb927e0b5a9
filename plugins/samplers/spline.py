"""The best linear prediction of the way to the data, from what the network has said of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, NamedTuple

from annotated_types import Ge, Gt, Le, Lt
from torch import Tensor

from ...core.diffusion.level import Level
from ...core.diffusion.sampling import Denoise, Noise
from .even_spline import weights

__all__ = ["Spline"]


class _Known(NamedTuple):
    """What was learnt on the way, newest last.

    Attributes:
        start: the angle where the integral begins that is still open.
        angles: where the network was asked.
        x0: what it said there.
        settled: weight of each x0 in the part of the integral before ``start``.
        applied: weight of each in x / sigma so far.
    """

    start: float
    angles: tuple[float, ...] = ()
    x0: tuple[Tensor, ...] = ()
    settled: tuple[float, ...] = ()
    applied: tuple[float, ...] = ()

    def joined_by(self, angle: float, x0: Tensor) -> _Known:
        """Return this with one x0 more, of which no part of the integral makes use yet."""
        return _Known(self.start, (*self.angles, angle), (*self.x0, x0), (*self.settled, 0.0), (*self.applied, 0.0))

    def integrated(self, end: float, memory: int, integrations: int) -> tuple[_Known, tuple[float, ...]]:
        """Return this with the integral up to ``end``, and by how much the weight of each x0 changes for it."""
        start, angles, settled = self.start, self.angles, self.settled
        if len(angles) > memory:  # the oldest goes: the first piece stays as it was known before the newest came
            share = weights(angles[:-1], start, angles[1], integrations)
            start, settled = angles[1], tuple(map(sum, zip(settled, (*share, 0.0), strict=True)))
        curve = weights(angles[-memory:], start, end, integrations)
        open_part = (0.0,) * (len(angles) - len(curve)) + curve
        applied = tuple(map(sum, zip(settled, open_part, strict=True)))
        changes = tuple(now - before for now, before in zip(applied, self.applied, strict=True))
        return _Known(start, angles, self.x0, settled, applied), changes

    def forgetting(self, memory: int) -> _Known:
        """Return this with no more than ``memory`` of the x0, the newest."""
        newest = slice(-memory, None)
        return _Known(self.start, self.angles[newest], self.x0[newest], self.settled[newest], self.applied[newest])


@dataclass(frozen=True)
class Spline:
    """Integrates ``d(x / sigma) / d(alpha / sigma) = x0`` with the smoothest even curve in the angle through all x0.

    Each step takes the whole integral anew with what it knows by then: the steps before it are corrected by evaluations
    that came after them, at no cost. Order 3, 1 NFE per step, deterministic; its state is the last few x0, their angles
    and weights. See :func:`~.even_spline.weights` for the curve.

    Args:
        memory: how many x0 are kept; with 4 the error is within a few percent of that with all of them, of a septic
            spline with 6.
        late: where the first x is nothing but noise, the share of the first step by which the network is asked late.
            At t = 1 it can but say the mean of the data; a little later it sees what x will become, while x, but for
            its scale, has hardly moved.
        integrations: how smooth x0 is taken to be: 2 for a quintic spline; 1 for a cubic one, of order 2, which suits
            rough networks better; 3 for a septic one, of order 4, for 10 to 100 steps of denoisers as smooth as those
            of mixtures (with more its weights lose digits: errors stay at some 1e-7).
        sigma_data: standard deviation of the data, which the angle ``atan(sigma / (sigma_data * alpha))`` is about.
    """

    memory: Annotated[int, Ge(1), Le(64)] = 4
    late: Annotated[float, Ge(0), Lt(1)] = 0.3
    integrations: Literal[1, 2, 3] = 2
    sigma_data: Annotated[float, Gt(0)] = 1.0

    stochastic = False
    nfe_per_step = 1
    claims: ClassVar[Mapping[str, object]] = {"superconvergent": True}  # where its nodes come at equal steps

    @property
    def order(self) -> int:
        return self.integrations + 1

    def init(self, x: Tensor) -> None:
        return None

    def step(
        self, x: Tensor, here: Level[float], next: Level[float], denoise: Denoise, noise: Noise, state: _Known | None
    ) -> tuple[Tensor, _Known]:
        begun, end = self._angle(here), self._angle(next)
        known = state or _Known(begun)
        if state is None and self.late and here.sigma > 10 * self.sigma_data * here.alpha:
            asked = begun + self.late * (end - begun)
            level = here.at_log_snr(-2 * math.log(self.sigma_data * math.tan(asked)))
            x0 = denoise(x * (self._spread(level) / self._spread(here)), level)
        else:
            asked, x0 = begun, denoise(x, here)
        known = known.joined_by(asked, x0)
        if next.sigma == 0:
            *others, newest = weights(known.angles[-self.memory :], known.start, end, self.integrations)
            there = x0 * (next.alpha * newest)
            for weight, one in zip(others, known.x0[-len(others) - 1 : -1], strict=True):
                there.add_(one, alpha=next.alpha * weight)
            return there, known
        known, changes = known.integrated(end, self.memory, self.integrations)
        there = x * (next.sigma / here.sigma)
        for change, one in zip(changes, known.x0, strict=True):
            there.add_(one, alpha=next.sigma * change / self.sigma_data)
        return there, known.forgetting(self.memory)

    def _angle(self, level: Level[float]) -> float:
        return math.atan2(level.sigma, self.sigma_data * level.alpha)

    def _spread(self, level: Level[float]) -> float:
        """Return the standard deviation of x at a level, for data of standard deviation ``sigma_data``."""
        return math.hypot(level.sigma, self.sigma_data * level.alpha)
