"""An error-controlled sampler: as many steps as its tolerance takes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Gt, Le
from torch import Tensor

from ...core.diffusion.angle import Arc, longest_step
from ...core.diffusion.integration import PAIRS, State, Walk, excess, integrated
from ...core.diffusion.level import Level
from ...core.diffusion.sampling import Denoise, Noise

__all__ = ["Adaptive"]


@dataclass(frozen=True)
class Adaptive:
    """An embedded Runge-Kutta pair for ``dy / dtheta = cos(theta) eps - sin(theta) x0``, with its error held.

    In the angle theta = atan(sigma / alpha), the ODE of y = x / sqrt(alpha**2 + sigma**2) is the same for every process
    and smooth from pure noise to data. Each step of the grid is divided as the tolerance asks, for each item by its own
    error; the items of a batch wait for each other, so that small batches waste less. To sigma = 0, where eps has no
    value, x0 is extrapolated from an angle as small as the tolerance.

    Deterministic; its order is that of the pair where steps of the grid are not divided, and its error is the
    tolerance's where they are. 3 or 6 NFE per step at least; its state is the slope and how far it will step.

    Args:
        order: 3 is the pair of Bogacki and Shampine, 5 that of Dormand and Prince, which is better below 1e-4.
        rtol: error of a step that is tolerated, as a share of y.
        atol: error that is tolerated beside it, of items of about unit scale.

    Source: Song et al. 2021, arXiv 2011.13456, appendix D.4 (sampling by an error-controlled pair); Bogacki and
    Shampine 1989; Dormand and Prince 1980.
    """

    order: Literal[3, 5] = 3
    rtol: Annotated[float, Gt(0), Le(1)] = 1e-3
    atol: Annotated[float, Gt(0), Le(1)] = 1e-3

    stochastic = False
    nfe_varies = True

    @property
    def nfe_per_step(self) -> int:
        return PAIRS[self.order].calls

    def init(self, x: Tensor) -> None:
        return None

    def step(
        self, x: Tensor, here: Level[float], next: Level[float], denoise: Denoise, noise: Noise, state: Walk | None
    ) -> tuple[Tensor, Walk]:
        arc = Arc(here, next, denoise)
        y = x / math.hypot(here.alpha, here.sigma)
        if state is None:
            state = Walk((y,), (arc.slope(arc.start, y),), [longest_step(arc.start)] * len(x))
        walk = Walk((y,), state.slope, state.strides)
        if next.sigma == 0:
            return next.alpha * self._to_data(arc, walk), walk
        walk = self._along(arc, walk, arc.end)
        return walk.state[0] * math.hypot(next.alpha, next.sigma), walk

    def _along(self, arc: Arc, walk: Walk, end: float) -> Walk:
        def slope(theta: float, state: State) -> State:
            return (arc.slope(theta, state[0]),)

        def error(before: State, after: State, wrong: State) -> Tensor:
            return excess(before[0], after[0], wrong[0], rtol=self.rtol, atol=self.atol)

        return integrated(slope, walk, arc.start, end, pair=PAIRS[self.order], error=error, longest=longest_step)

    def _to_data(self, arc: Arc, walk: Walk) -> Tensor:
        """Return x0 at the end of the arc, taken from an angle at which no more noise is left than is tolerated.

        No data hide there, however narrow they are. What x0 is predicted at an angle differs from that at the end by
        the square of the angle; after Euler's step to half the angle half as much, so that both tell what is left.
        """
        cut = min(self.atol, arc.start)
        if cut < arc.start:
            walk = self._along(arc, walk, cut)
        (y,), (slope,), cos, sin = walk.state, walk.slope, math.cos(cut), math.sin(cut)
        x0, eps = cos * y - sin * slope, sin * y + cos * slope
        return 2 * arc.x0(cut / 2, math.cos(cut / 2) * x0 + math.sin(cut / 2) * eps) - x0
