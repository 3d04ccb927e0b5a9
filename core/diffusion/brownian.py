"""Noise by interval: the increments of one Brownian path per item, the same path whatever the number of steps.

Noise by step makes another sample of a stochastic sampler in 20 steps than in 40. Noise by interval does not: the noise
of a step is what one path does between its two levels, so that finer steps follow the same path more closely.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from torch import Tensor

from .level import Level

if TYPE_CHECKING:
    from .sampling import Noise

__all__ = ["BrownianPath", "step_noise"]

_REACH = 40.0
"""The path runs from log-SNR -40 to 40; what is beyond counts as the end."""

_DEPTH = 20
"""How often this is halved: levels closer than 8e-5 in log-SNR count as one."""


class BrownianPath:
    """A Brownian motion W in the clock s = SNR, found by halving the log-SNR and drawing each middle given its ends.

    In that clock the exact steps of the reverse SDE compose: the noise of a step of ``ddpm`` or of an exponential
    integrator is sigma_next**2 / alpha_next times an increment of W, so two half steps of equal x0 are one whole.

    Args:
        draw: node number -> standard normal float64 numbers (batch, \\*item); the same for the same node.

    Source: the bridge of a Brownian motion (Lévy 1948); Li et al. 2020, arXiv 2001.01328, algorithm 3 (a virtual
    Brownian tree).
    """

    def __init__(self, draw: Callable[[int], Tensor]) -> None:
        self._draw = draw
        self._last: tuple[int, Tensor] | None = None

    def between(self, here: Level[float], next: Level[float]) -> Tensor:
        """Return W(next) - W(here) over its standard deviation (batch, \\*item) float64; ``next`` is the cleaner."""
        first, last = _place(here), _place(next)
        if first >= last:  # too close to be told apart on the path: any normal number would do, these are of its own
            return self._draw((1 << _DEPTH + 1) + last)
        start = self._last[1] if self._last is not None and self._last[0] == first else self._at(first)
        end = self._at(last)
        self._last = (last, end)
        return (end - start) / math.sqrt(_clock(last) - _clock(first))

    def _at(self, place: int) -> Tensor:
        """Return W at a place, 0 to 2**_DEPTH."""
        low, high, node = 0, 1 << _DEPTH, 1
        at_high = self._draw(0) * math.sqrt(_clock(high) - _clock(low))
        at_low = at_high * 0
        if place == low:
            return at_low
        while place < high:
            middle = (low + high) // 2
            s_low, s_middle, s_high = _clock(low), _clock(middle), _clock(high)
            share = (s_middle - s_low) / (s_high - s_low)
            deviation = math.sqrt((s_middle - s_low) * (s_high - s_middle) / (s_high - s_low))
            at_middle = at_low + share * (at_high - at_low) + deviation * self._draw(node)
            if place >= middle:
                low, at_low, node = middle, at_middle, 2 * node + 1
                if place == middle:
                    return at_middle
            else:
                high, at_high, node = middle, at_middle, 2 * node
        return at_high


def _place(level: Level[float]) -> int:
    share = (min(max(level.log_snr, -_REACH), _REACH) + _REACH) / (2 * _REACH)
    return round(share * (1 << _DEPTH))


def _clock(place: int) -> float:
    return math.exp(2 * _REACH * place / (1 << _DEPTH) - _REACH)


def step_noise(noise: Noise, here: Level[float], next: Level[float], brownian: bool) -> Tensor:
    """Return a step's noise like x: keyed by its interval if ``brownian``, else by its number.

    Where the noise is the reverse SDE's own (eta = 1) it is an increment of the path, whatever the step. Where it is
    more or less, only in the limit of small steps; what these converge to is one path all the same.
    """
    return noise.between(here, next) if brownian else noise()
