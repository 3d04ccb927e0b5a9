"""DEIS: Adams and Bashforth's method in eps, with the process integrated exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

from annotated_types import Ge, Le
from torch import Tensor

from ...core.diffusion.combination import euler_step, plus
from ...core.diffusion.level import Level, Numbers
from ...core.diffusion.multistep import Seen, eps_factors, weighted
from ...core.diffusion.sampling import Denoise, Noise

__all__ = ["DEIS"]

Past = tuple[Seen, ...]


@dataclass(frozen=True)
class DEIS:
    """AB-DEIS: the polynomial through the last eps's, in log(nsr), nsr = sigma / alpha, integrated exactly over nsr.

    In log(nsr), not in t as in the paper: so it is the same for processes of equal SNR, and the integrals have
    closed forms. 1 NFE per step, deterministic; its state is the last steps' sigma * eps and levels. A step to
    sigma = 0 or from alpha = 0 takes one eps, and no later one takes that of alpha = 0. Order 1 with one point,
    else 2: with p points a step is wrong by h**(p + 1), but the first one, which has a single point, by h**2.
    Beyond two points its share is all that is left, and the error is often many times smaller.

    Args:
        points: how many eps's the polynomial goes through at most.

    Source: Zhang and Chen 2023, arXiv 2204.13902, section 3 (exponential integrator with polynomial extrapolation).
    """

    points: Annotated[int, Ge(1), Le(4)] = 3

    stochastic = False
    nfe_per_step = 1

    @property
    def order(self) -> int:
        return min(self.points, 2)

    def init(self, x: Tensor) -> Past:
        return ()

    def step(
        self, x: Tensor, here: Level[float], next: Level[float], denoise: Denoise, noise: Noise, state: Past
    ) -> tuple[Tensor, Past]:
        x0 = denoise(x, here)
        past = (Seen(here, plus(x, x0, -here.alpha)), *state)[: self.points]
        if here.alpha == 0 or next.sigma == 0:
            return euler_step(x, x0, here, next), past
        return weighted(
            x, next.alpha / here.alpha, _shares(tuple([seen.level.numbers for seen in past]), next.numbers), past
        ), past


@lru_cache(maxsize=4096)  # runs on the same grid ask for the same
def _shares(past: tuple[Numbers[float], ...], next: Numbers[float]) -> Sequence[float]:
    """Return the factors of sigma * eps at the levels ``past``, the newest first, in x at ``next``."""
    levels = [Level(*numbers) for numbers in past]
    factors = eps_factors(levels[0], Level(*next), levels)
    return tuple([factor / level.sigma for factor, level in zip(factors, levels[: len(factors)], strict=True)])
