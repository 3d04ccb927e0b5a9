"""SDE-DPM-Solver++(2M)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Literal, NamedTuple

from annotated_types import Ge
from torch import Tensor

from ...core.diffusion.brownian import step_noise
from ...core.diffusion.combination import added_to, combined
from ...core.diffusion.level import Level, Numbers
from ...core.diffusion.sampling import Denoise, Noise

__all__ = ["DPMpp2MSDE"]


Solver = Literal["midpoint", "heun"]


@dataclass(frozen=True)
class DPMpp2MSDE:
    """The multistep solver of the reverse SDE that integrates all but x0 exactly, and extrapolates x0 in lambda.

    ``x_next = sigma' / sigma decay x + alpha' (1 - exp(-(1 + eta) h)) x0 + bend + sigma' sqrt(1 - decay**2) z``, with
    ``decay = exp(-eta h)``, primes for the next level, and as bend a share of the last change of x0.

    Order 2 in distribution: what the noise of a step does to x0 comes one step late, and in the sum over the steps that
    is of no account. 1 NFE per step, stochastic unless eta = 0; its state is the last step's x0 and level. The first
    step and a step to sigma = 0 are of order 1.

    Args:
        eta: share of the noise of the reverse SDE; 0 is ``dpmpp-2m``.
        solver: how the change of x0 over a step counts: half of it ("midpoint"), or as it grows linearly in lambda
            ("heun", of exponential integrators).
        brownian: take the noise of a step from one Brownian path per item, the same for any number of steps.

    Source: Lu et al. 2022, arXiv 2211.01095, on diffusion SDEs (lambda there is half of log-SNR here); with eta,
    k-diffusion (Crowson 2022).
    """

    eta: Annotated[float, Ge(0)] = 1.0
    solver: Solver = "midpoint"
    brownian: bool = False

    order = 2
    nfe_per_step = 1

    @property
    def stochastic(self) -> bool:
        return self.eta > 0

    def init(self, x: Tensor) -> None:
        return None

    def step(
        self,
        x: Tensor,
        here: Level[float],
        next: Level[float],
        denoise: Denoise,
        noise: Noise,
        state: tuple[Tensor, Level[float]] | None,
    ) -> tuple[Tensor, tuple[Tensor, Level[float]]]:
        x0 = denoise(x, here)
        before = None if state is None else state[1].numbers
        of_x, of_x0, of_before, fresh = _shares(self.eta, self.solver, before, here.numbers, next.numbers)
        there = combined(x, of_x, x0, of_x0)
        if state is not None and of_before:
            added_to(there, state[0], of_before)
        if fresh:
            added_to(there, step_noise(noise, here, next, self.brownian), fresh)
        return there, (x0, here)


class _Shares(NamedTuple):
    """Factors in a step: of x, of x0, of the x0 of the step before, and of fresh noise."""

    of_x: float
    of_x0: float
    of_before: float
    fresh: float


@lru_cache(maxsize=4096)  # runs on the same grid ask for the same
def _shares(
    eta: float, solver: Solver, before: Numbers[float] | None, begin: Numbers[float], end: Numbers[float]
) -> _Shares:
    """Return those of a step from ``begin`` to ``end``, the one before which began at ``before``."""
    here, next = Level(*begin), Level(*end)
    ratio = next.sigma / here.sigma
    decay = (here.alpha / next.alpha * ratio) ** eta  # exp(-eta h)
    gain = next.alpha - ratio * decay * here.alpha  # alpha_next (1 - exp(-(1 + eta) h)), finite at both ends
    bend = 0.0 if before is None else _bend(eta, solver, Level(*before), here, next, gain)
    return _Shares(ratio * decay, gain * (1 + bend), -gain * bend, next.sigma * (1 - decay**2) ** 0.5)


def _bend(
    eta: float, solver: Solver, before: Level[float], here: Level[float], next: Level[float], gain: float
) -> float:
    """Return how much of the last change of x0 is added to it; none from alpha = 0 or to sigma = 0."""
    step = next.log_snr - here.log_snr  # 2 h
    half_inverse_r = step / (here.log_snr - before.log_snr) / 2
    if next.sigma == 0 or not math.isfinite(half_inverse_r):
        return 0.0
    if solver == "midpoint":
        return half_inverse_r
    return 2 * half_inverse_r * (next.alpha / gain - 2 / ((1 + eta) * step))
