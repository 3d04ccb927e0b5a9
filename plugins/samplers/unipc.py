"""UniPC: a predictor, and a corrector that costs no evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import zip_longest
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Le
from torch import Tensor

from ...core.diffusion.level import Level, Numbers
from ...core.diffusion.multistep import Seen, weighted, x0_factors
from ...core.diffusion.sampling import Denoise, Noise

__all__ = ["UniPC"]

Past = tuple[Seen, ...]
Variant = Literal["bh1", "bh2"]


@dataclass(frozen=True)
class UniPC:
    """UniPC-p: x0's polynomial in lambda predicts the next x; with the x0 found there it is integrated again.

    1 NFE per step, deterministic; its state is the last p steps' x0's and levels. Each step is corrected at the
    beginning of the next, the last one never; a step to sigma = 0 or from alpha = 0 is predicted from one x0. Order
    2 with one point, else 3: with p points a step is wrong by h**(p + 2), but the first one, which has a single
    point, by h**3. With three points and "bh2" that share is so small that 4 is what shows mostly. With few steps
    that grow fast in lambda two points are safer than three.

    Args:
        points: how many x0's the predictor takes, the p of the paper.
        variant: B(h) of the paper, which is h or exp(h) - 1. It weighs the change of x0 where there is only one: in the
            predictor with two points and the corrector with one, so with three points in the first two steps.

    Source: Zhao et al. 2023, arXiv 2302.04867, algorithms 1 (UniC) and 2 (UniP) with x0 prediction. B(h) cancels where
    their linear system is solved, and what it gives are the integrals of the polynomial.
    """

    points: Annotated[int, Ge(1), Le(3)] = 3
    variant: Variant = "bh2"

    stochastic = False
    nfe_per_step = 1
    claims: ClassVar[Mapping[str, object]] = {"superconvergent": True}  # the order is that of the first step

    @property
    def order(self) -> int:
        return min(self.points + 1, 3)

    def init(self, x: Tensor) -> Past:
        return ()

    def step(
        self, x: Tensor, here: Level[float], next: Level[float], denoise: Denoise, noise: Noise, state: Past
    ) -> tuple[Tensor, Past]:
        past = (Seen(here, denoise(x, here)), *state)
        shares = _shares(self.points, self.variant, tuple([seen.level.numbers for seen in past]), next.numbers)
        return weighted(x, next.sigma / here.sigma, shares, past), past[: self.points]


@lru_cache(maxsize=4096)  # runs on the same grid ask for the same
def _shares(points: int, variant: Variant, past: tuple[Numbers[float], ...], next: Numbers[float]) -> Sequence[float]:
    """Return the factors of the x0's at the levels ``past``, the newest first, in x at ``next``.

    One sum does for both: x is corrected by what the factors that it was predicted with change, then brought on.
    """
    levels, there = [Level(*numbers) for numbers in past], Level(*next)
    here, *before = levels
    factors = _predictor(levels[:points], there, variant)
    if not before:
        return tuple(factors)
    predicted = _predictor(before, here, variant)
    now, *others = _corrector(before[: len(predicted)], here, variant)
    changes = [now, *(new - old for new, old in zip(others, predicted, strict=True))]
    ratio = there.sigma / here.sigma
    return tuple([ratio * change + factor for change, factor in zip_longest(changes, factors, fillvalue=0.0)])


def _predictor(levels: Sequence[Level[float]], next: Level[float], variant: Variant) -> list[float]:
    """Return the factors of the x0's of ``levels``, the newest first, or of fewer: UniP."""
    here, *before = levels
    factors = x0_factors(here, next, levels)
    if len(factors) != 2:
        return factors
    gain = sum(factors)
    change = _b(here, next, gain, variant) / 2 * (next.log_snr - here.log_snr) / (here.log_snr - before[0].log_snr)
    return [gain + change, -change]


def _corrector(levels: Sequence[Level[float]], next: Level[float], variant: Variant) -> list[float]:
    """Return the factors of the x0 at ``next``, then of those of ``levels``: UniC."""
    here, *before = levels
    if before:
        of_here, of_next, *others = x0_factors(here, next, [here, next, *before])
        return [of_next, of_here, *others]
    (gain,) = x0_factors(here, next, levels)
    change = _b(here, next, gain, variant) / 2
    return [change, gain - change]


def _b(here: Level[float], next: Level[float], gain: float, variant: Variant) -> float:
    """Return alpha B(h); from alpha = 0, where h is infinite, that of "bh2"."""
    if variant == "bh1" and here.alpha != 0:
        return next.alpha * (next.log_snr - here.log_snr) / 2
    return gain
