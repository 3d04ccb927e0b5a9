"""Data whose ideal network is known, and how far a sampler ends from their exact solution."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from ...diffusion.level import Level
from ...diffusion.mixture import GaussianMixture
from ...diffusion.noise import Draws, keys_of
from ...diffusion.process import Process, levels_at
from ...diffusion.sampling import Denoise, Grid, Sampler, StepNoise, levels_from, part_of, sample
from ...registration.build import build
from .items_and_processes import process_of
from .numbers import normal

__all__ = [
    "PLANE",
    "WithVariance",
    "drift",
    "error_in_distribution",
    "error_of_run",
    "error_of_solution",
    "exact",
    "levels_of",
    "noise_for",
    "walked",
]

PLANE = GaussianMixture([[-1.0, 0.3], [0.8, -0.6], [0.2, 1.1]], [0.5, 0.6, 0.4], [0.3, 0.4, 0.3])
"""Three modes in the plane, of about unit variance in all."""

LINE = GaussianMixture([[0.7]], [0.6])
"""One Gaussian on the line, on which every sampler that is linear in x, x0 and noise can be followed exactly."""

WINDOW = (math.pi / 4, math.atan(0.14))
"""Angles atan(sigma / alpha) between which orders are seen: both data and noise are there."""


def levels_of(process: str, grid: str, steps: int) -> tuple[Level[float], ...]:
    """Return the levels of a built-in process that a built-in grid visits."""
    under = process_of(process)
    return levels_at(under, build("grid", grid).times(under, steps))


def drift(x: Tensor, level: Level[float]) -> Tensor:
    """Return what a denoiser of no particular data might say: smooth, of each number alone, different at each level."""
    size = math.hypot(level.alpha, level.sigma)
    return (torch.sin(1.3 * x.double() / size) * level.alpha + 0.1 * level.t).to(x.dtype)


def noise_for(x: Tensor, seeds: Sequence[int] | None = None) -> StepNoise:
    """Return the noise that a loop would give a run of x."""
    return StepNoise(Draws(), keys_of(range(len(x)) if seeds is None else seeds), x)


class WithVariance:
    """A denoiser that also tells a variance, for samplers that ask for one: half of what the next level has."""

    def __init__(self, denoise: Denoise) -> None:
        self._denoise = denoise

    def __call__(self, x: Tensor, level: Level[float]) -> Tensor:
        self._like = x
        return self._denoise(x, level)

    def variance(self, here: Level[float], next: Level[float]) -> Tensor:
        """Return the variance of x at ``next`` (batch, \\*item)."""
        return torch.full_like(self._like, next.sigma**2 / 2)


def walked(
    sampler: Sampler,
    levels: Sequence[Level[float]],
    x: Tensor,
    denoise: Denoise,
    *,
    noise: Any = None,
    first: int = 0,
    state: object = None,
) -> tuple[Tensor, object]:
    """Return x and state after the steps between some levels, the first of which has the number ``first``.

    Args:
        sampler: makes the steps.
        levels: where they start and end.
        x: at the first of them.
        denoise: the model.
        noise: for the steps; that of a loop where it is left out.
        first: number of the first step; where it is 0 the sampler is asked for a state.
        state: before it, where it is not the first one of a run.
    """
    noise = noise_for(x) if noise is None else noise
    state = state if first else sampler.init(x)
    for number, (here, there) in enumerate(pairwise(levels), first):
        noise.step = number
        x, state = sampler.step(x, here, there, denoise, noise, state)
    return x, state


def exact(x: Tensor, start: float, end: float) -> Tensor:
    """Return where the probability-flow ODE of PLANE takes ``y = x / sqrt(alpha**2 + sigma**2)`` between two angles.

    By the Runge-Kutta method of order 4 in steps of a thousandth, which leaves 1e-10.
    """
    count = math.ceil((start - end) / 4e-3)
    width = (end - start) / count

    def slope(theta: float, y: Tensor) -> Tensor:
        cos, sin = math.cos(theta), math.sin(theta)
        level = Level(theta, cos, sin, -sin, cos, 0.0)
        return -cos * sin * PLANE.score(y, level) - sin * PLANE(y, level)

    for number in range(count):
        theta = start + number * width
        one = slope(theta, x)
        two = slope(theta + width / 2, x + width / 2 * one)
        three = slope(theta + width / 2, x + width / 2 * two)
        four = slope(theta + width, x + width * three)
        x = x + width / 6 * (one + 2 * two + 2 * three + four)
    return x


@functools.lru_cache
def _solved(rows: int) -> tuple[Tensor, Tensor]:
    """Return rows of noise on PLANE at both ends of WINDOW, each divided by the size of its level."""
    start = exact(normal(rows, 2, purpose="trajectories"), math.pi / 2, WINDOW[0])
    return start, exact(start, *WINDOW)


def _window(process: str, steps: int, *, uneven: bool = False) -> tuple[Level[float], ...]:
    """Return levels of a process at equal steps of the angle through WINDOW, or at ones twice as long in turn."""
    under, (start, end) = process_of(process), WINDOW
    widths = torch.ones(steps, dtype=torch.float64)
    if uneven:
        widths[::2] = 2.0
    angles = start + (end - start) * torch.cat([widths.new_zeros(1), widths.cumsum(0) / widths.sum()])
    return levels_at(under, under.t_of_log_snr(-2 * torch.log(torch.tan(angles))))


def error_of_solution(sampler: Sampler, steps: int, *, process: str = "vp-linear", uneven: bool = False) -> float:
    """Return how far a deterministic sampler ends from the exact solution on PLANE, in root mean square.

    Args:
        sampler: makes the steps.
        steps: how many.
        process: how data is destroyed.
        uneven: whether long steps and short ones take turns.
    """
    levels = _window(process, steps, uneven=uneven)
    start, end = (
        y * math.hypot(level.alpha, level.sigma) for y, level in zip(_solved(24), (levels[0], levels[-1]), strict=True)
    )
    made, _ = walked(sampler, levels, start, WithVariance(PLANE))
    return (made - end).square().mean().sqrt().item()


def error_of_run(process: Process | str, grid: Grid | str, steps: int, *, sampler: str) -> float:
    """Return how far a run on LINE ends from the exact solution, in root mean square.

    There the probability-flow ODE leaves each item at its place in the distribution, so that it is known at every level
    of any process: ``x = alpha mean + sqrt((alpha width)**2 + sigma**2) place``.

    Raises:
        ConfigError: the grid's times do not fall.
        NumericError: a step was not finite.
    """
    levels = levels_from(part_of("process", process), part_of("grid", grid), steps)
    mean, width, place = LINE.means.item(), LINE.widths.item(), torch.linspace(-2, 2, 9).double()[:, None]
    start, end = (
        level.alpha * mean + math.hypot(level.alpha * width, level.sigma) * place for level in (levels[0], levels[-1])
    )
    made = sample(LINE, process=process, sampler=sampler, grid=grid, steps=steps, x=start)
    return (made - end).square().mean().sqrt().item()


class _Tracer:
    """Noise that is nothing but in one row: each call gives the next row a single 1."""

    step = 0

    def __init__(self, x: Tensor) -> None:
        self._x, self._row = x, 1

    def __call__(self, purpose: str = "step") -> Tensor:
        self._row += 1
        one = torch.zeros_like(self._x)
        one[self._row] = 1
        return one

    def between(self, here: Level[float], next: Level[float]) -> Tensor:
        return self()


def error_in_distribution(sampler: Sampler, steps: int, *, process: str = "vp-linear") -> float:
    """Return how far mean and deviation of a stochastic sampler's end are from those of LINE, without drawing anything.

    There a run is linear: ``x = b + A x_start + sum_k c_k z_k``. One row starts at 0, one at 1, and each of the others
    is given a single noise of 1, so that the last x holds b, A and every c_k.
    """
    levels = _window(process, steps)
    x = torch.zeros(4 * steps * sampler.nfe_per_step + 2, 1, dtype=torch.float64)
    x[1] = 1
    made, _ = walked(sampler, levels, x, WithVariance(LINE), noise=_Tracer(x))
    offset, *moved = made.flatten().tolist()
    factor, *shares = (value - offset for value in moved)
    first, last, mean, width = levels[0], levels[-1], LINE.means.item(), LINE.widths.item()
    deviation = math.hypot(factor * math.hypot(first.alpha * width, first.sigma), *shares)
    wrong = (
        offset + factor * first.alpha * mean - last.alpha * mean,
        deviation - math.hypot(last.alpha * width, last.sigma),
    )
    return math.hypot(*wrong)
