"""Problems whose answer is known: mixtures of Gaussians, starts, and where the probability-flow ODE takes them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from noiseform import GaussianMixture, build, sample
from noiseform.core.diffusion.level import Level
from noiseform.core.diffusion.process import complete, levels_at
from noiseform.core.diffusion.sampling import Grid, Sampler
from noiseform.core.registration.registry import current
from torch import Tensor

__all__ = ["GRIDS", "PROCESS", "Errors", "Problem", "deterministic", "ours"]

PROCESS = complete(build("process", "discrete-vp"))
"""DDPM's linear table of 1,000, which diffusers' samplers take as well."""

GRIDS = ("angle", "log-snr", "karras", "uniform")
"""The usual grids."""

_LAST = levels_at(PROCESS, torch.ones(1, dtype=torch.float64))[0]
_FINE = 800  # steps of the reference: half as many end less than 1e-8 away


@dataclass(frozen=True)
class Errors:
    """How far from the ODE's ends a sampler ended.

    Attributes:
        rms: root mean square over all numbers of all items; starts that end in another mode decide it.
        median: over the starts, of the root mean square over an item.
        elsewhere: how many starts ended in another mode: nearest to another component's mean than they should.
        settled: root mean square of the others.
    """

    rms: float
    median: float
    elsewhere: int
    settled: float


class Problem:
    """A mixture drawn by a seed, starts, and the end of the ODE for each of them.

    Args:
        dimension: 2 has six to nine components with means of norm 1 to 4; others have ten, of norm 8. Widths are
            0.15 to 0.5, weights unequal.
        seed: of the mixture and the starts.
        starts: how many.

    Attributes:
        mixture: the ideal denoiser.
        starts: items at t = 1 (starts, dimension), float64.
        ends: where fine steps of the ODE take them.
    """

    def __init__(self, dimension: int, seed: int, *, starts: int = 512) -> None:
        draw = torch.Generator().manual_seed(seed)
        double = {"generator": draw, "dtype": torch.float64}
        count = int(torch.randint(6, 10, (1,), generator=draw)) if dimension == 2 else 10
        norms = 1 + 3 * torch.rand(count, 1, **double) if dimension == 2 else torch.full((count, 1), 8.0)
        means = torch.nn.functional.normalize(torch.randn(count, dimension, **double), dim=1) * norms
        widths = 0.15 + 0.35 * torch.rand(count, **double)
        self.dimension, self.seed = dimension, seed
        self.mixture = GaussianMixture(means, widths, 0.2 + torch.rand(count, **double))
        self.starts = torch.randn(starts, dimension, **double)
        self.ends = self.solved(_FINE)

    def solved(self, steps: int) -> Tensor:
        """Return where classical Runge-Kutta steps in theta = atan(sigma / alpha), denser near 0, take the starts.

        On this process ``dx / dtheta = cos(theta) eps - sin(theta) x0``, which is 0 at theta = 0.
        """
        first = math.atan2(_LAST.sigma, _LAST.alpha)
        x = self.starts
        for here, next in pairwise([first * (1 - i / steps) ** 1.5 for i in range(steps + 1)]):
            h, half = next - here, (here + next) / 2
            one = self._slope(x, here)
            two = self._slope(x + h / 2 * one, half)
            three = self._slope(x + h / 2 * two, half)
            four = self._slope(x + h * three, next)
            x = x + h / 6 * (one + 2 * two + 2 * three + four)
        return x

    def _slope(self, x: Tensor, theta: float) -> Tensor:
        if theta == 0:
            return torch.zeros_like(x)
        alpha, sigma = math.cos(theta), math.sin(theta)
        x0 = self.denoise(x, alpha, sigma)
        return alpha * (x - alpha * x0) / sigma - sigma * x0

    def denoise(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """Return E[x0 | x], by no more than alpha and sigma."""
        return self.mixture(x, Level(0.0, alpha, sigma, 0.0, 0.0, 0.0))

    def errors(self, reached: Tensor) -> Errors:
        """Return how far items (starts, dimension) are from the ODE's ends."""
        each = (reached.double() - self.ends).square().mean(1)
        elsewhere = self._modes(reached.double()) != self._modes(self.ends)
        settled = each[~elsewhere].mean().sqrt().item()
        return Errors(each.mean().sqrt().item(), each.sqrt().median().item(), int(elsewhere.sum()), settled)

    def _modes(self, x: Tensor) -> Tensor:
        """Return the index of the component whose mean is the nearest to each item."""
        return torch.cdist(x, self.mixture.means).argmin(1)


def deterministic() -> dict[str, Sampler]:
    """Return the built-in samplers that add no noise and whose calls are known beforehand."""
    names = [part.name for part in current().plugins.parts("sampler") if part.plugin.candidate.builtin]
    samplers = {name: build("sampler", name) for name in names}
    return {
        name: sampler
        for name, sampler in samplers.items()
        if not sampler.stochastic and not getattr(sampler, "nfe_varies", False)
    }


def ours(problem: Problem, sampler: Sampler, grid: Grid, nfe: int) -> Errors:
    """Return the errors of as many steps as ``nfe`` calls of the denoiser allow; calls are counted."""
    calls = 0

    def denoise(x: Tensor, level: Level[float]) -> Tensor:
        nonlocal calls
        calls += 1
        return problem.mixture(x, level)

    each = sampler.nfe_per_step
    steps = (nfe + each - 1) // each  # the last step takes a single call
    reached = sample(denoise, process=PROCESS, sampler=sampler, grid=grid, steps=steps, x=problem.starts)
    assert nfe - each < calls <= nfe, f"{type(sampler).__name__}: {calls} calls in place of {nfe}"
    return problem.errors(reached)
