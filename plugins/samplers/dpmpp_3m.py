"""DPM-Solver++(3M)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from torch import Tensor

from ...core.diffusion.combination import plus
from ...core.diffusion.level import Level, Numbers
from ...core.diffusion.multistep import Seen, places, weighted, x0_factors
from ...core.diffusion.sampling import Denoise, Noise

__all__ = ["DPMpp3M"]

Past = tuple[Seen, ...]
Variant = Literal["exact", "released"]


@dataclass(frozen=True)
class DPMpp3M:
    """The third-order multistep solver: the parabola in lambda through the last three x0's, integrated exactly.

    1 NFE per step, deterministic; its state is the last steps' x0's and levels. The second step takes two x0's, a step
    to sigma = 0 or from alpha = 0 one. A first step with one x0 is wrong by h**2, which would stay, once the second
    step has seen where it led, it is made good with the mean of both x0's at no further NFE (UniC-1). With few steps
    that grow fast in lambda a parabola reaches too far: `dpmpp-2m` is safer below ten or so.

    Args:
        variant: "exact" is of order 3. "released" does as the authors' code and those that follow it (diffusers,
            k-diffusion): it has half of the parabola's curvature and leaves the first step as it is, which makes it
            of order 2.

    Source: Lu et al. 2022, arXiv 2211.01095, section 4 (lambda there is half of log-SNR here); Zhao et al. 2023, arXiv
    2302.04867, algorithm 1 (the first step's correction).
    """

    variant: Variant = "exact"

    stochastic = False
    nfe_per_step = 1

    @property
    def order(self) -> int:
        return 3 if self.variant == "exact" else 2

    def init(self, x: Tensor) -> Past:
        return ()

    def step(
        self, x: Tensor, here: Level[float], next: Level[float], denoise: Denoise, noise: Noise, state: Past
    ) -> tuple[Tensor, Past]:
        x0 = denoise(x, here)
        if self.variant == "exact" and len(state) == 1:
            (first,) = state
            (gain,) = x0_factors(first.level, here, [first.level])
            x = plus(x, x0 - first.value, gain / 2)
        past = (Seen(here, x0), *state)[:3]
        shares = _shares(self.variant, tuple([seen.level.numbers for seen in past]), next.numbers)
        return weighted(x, next.sigma / here.sigma, shares, past), past


@lru_cache(maxsize=4096)  # runs on the same grid ask for the same
def _shares(variant: Variant, past: tuple[Numbers[float], ...], next: Numbers[float]) -> Sequence[float]:
    """Return the factors of the x0's at the levels ``past``, the newest first, in x at ``next``."""
    levels, there = [Level(*numbers) for numbers in past], Level(*next)
    factors = x0_factors(levels[0], there, levels)
    if variant == "released" and len(factors) == 3:
        factors = _flatter(factors, places(levels[0], there, levels))
    return tuple(factors)


def _flatter(factors: Sequence[float], places: Sequence[float]) -> list[float]:
    """Return the factors of the parabola ``f + b u + c u**2`` with half of c."""
    square = sum(factor * u**2 for factor, u in zip(factors, places, strict=True))  # that of c, by their exactness
    f0, f1, f2 = factors
    u0, u1, u2 = places
    return [
        f0 - square / 2 / ((u0 - u1) * (u0 - u2)),
        f1 - square / 2 / ((u1 - u0) * (u1 - u2)),
        f2 - square / 2 / ((u2 - u0) * (u2 - u1)),
    ]
