"""Find the times of ``plugins/grids/angle.py``'s ``FEW_STEPS``: ``python tests/bench/few_steps.py STEPS,...``.

Times of a few steps are moved from where they stand by now, by Nelder and Mead's method, until what `spline` makes of
them is the nearest to the fine solution: on mixtures of Gaussians in 2 and in 64 dimensions, and on the embedded
`garments` and `pictograms`. What is made small is the mean logarithm of the four errors. Mixtures of the seeds from 100
on have part in this; `make bench-samplers` draws others, and the embedded speech model has none. Some minutes for each
number of steps.
"""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from caught import caught
from mixtures import Problem, ours
from noiseform import build, image, sample
from noiseform.core.diffusion.noise import Draws, keys_of
from noiseform.core.diffusion.process import Process, complete, levels_at
from noiseform.core.diffusion.sampling import Denoise, Grid
from noiseform.plugins.grids.angle import FEW_STEPS
from scipy.optimize import minimize
from torch import Tensor

SEEDS = range(100, 114)
ITEMS = 8
SPLINE = build("sampler", "spline")


@dataclass(frozen=True)
class At:
    """A grid of given angles after t = 1, in parts of the angle there."""

    shares: Sequence[float]

    def times(self, process: Process, steps: int) -> Tensor:
        """Return t = 1, the times of the angles, and 0."""
        process = complete(process)
        start = torch.atan(torch.exp(-process.log_snr(torch.ones((), dtype=torch.float64)) / 2))
        angles = start * torch.tensor(self.shares, dtype=torch.float64)
        times = process.t_of_log_snr(-2 * torch.log(torch.tan(angles)))
        return torch.cat([times.new_ones(1), times, times.new_zeros(1)])


class Trained:
    """A trained network, starts, and where fine steps take them.

    Args:
        make: generates a batch of items in one call of the sampler.
    """

    def __init__(self, make: Callable[[], object]) -> None:
        (run,) = caught(make)
        self._denoise: Denoise = run[0]
        given: Mapping[str, Any] = run[1]
        self._process = complete(given["process"])
        (last,) = levels_at(self._process, torch.ones(1, dtype=torch.float64))
        noise = Draws().normal(keys_of(given["seeds"]), given["shape"], purpose="prior", dtype=torch.float32)
        self._x = last.sigma * noise
        self._end = self._ended("heun", "log-snr", 80)

    def _ended(self, sampler: Any, grid: Grid | str, steps: int) -> Tensor:
        with torch.no_grad():
            return sample(self._denoise, process=self._process, sampler=sampler, grid=grid, steps=steps, x=self._x)

    def error(self, grid: Grid, steps: int) -> float:
        """Return the mean distance of items from where fine steps take them."""
        wrong = self._ended(SPLINE, grid, steps) - self._end
        return wrong.flatten(1).square().mean(1).sqrt().mean().item()


def errors(shares: Sequence[float], mixtures: Sequence[Sequence[Problem]], trained: Sequence[Trained]) -> list[float]:
    """Return the errors of the steps at some angles: in 2 and 64 dimensions, and of each network."""
    grid, steps = At(shares), len(shares) + 1
    of_mixtures = [statistics.geometric_mean(ours(one, SPLINE, grid, steps).rms for one in some) for some in mixtures]
    return of_mixtures + [network.error(grid, steps) for network in trained]


def told(name: str, shares: Sequence[float], found: Sequence[float]) -> None:
    """Print angles and the errors there."""
    places = ", ".join(f"{share:.4f}" for share in shares)
    two, many, *networks = (f"{error:.3g}" for error in found)
    print(
        f"{len(shares) + 1} steps, {name}: {places}; 2-D {two}, 64-D {many}, networks {', '.join(networks)}", flush=True
    )


def main(counts: Sequence[int]) -> None:
    """Find the times for some numbers of steps, and print them."""
    mixtures = [[Problem(dimension, seed) for seed in SEEDS] for dimension in (2, 64)]
    trained = [
        Trained(lambda: image.generate("garments", label="sneaker", count=ITEMS, batch_size=ITEMS, seed=5)),
        Trained(lambda: image.generate("pictograms", prompt="red heart", count=ITEMS, batch_size=ITEMS, seed=5)),
    ]
    for steps in counts:

        def score(shares: np.ndarray) -> float:
            falling = np.sort(shares)[::-1]
            if np.any(-np.diff([0.99, *falling, 0.01]) < 0.004):
                return 1e3
            return sum(map(math.log, errors(falling.tolist(), mixtures, trained)))

        equal = [1 - step / steps for step in range(1, steps)]
        told("equal", equal, errors(equal, mixtures, trained))
        begun = np.array(FEW_STEPS.get(steps, equal))
        simplex = np.vstack([begun, begun + 0.03 * np.eye(steps - 1)])
        found = minimize(
            score,
            begun,
            method="Nelder-Mead",
            options={"initial_simplex": simplex, "maxfev": 240, "xatol": 1e-3, "fatol": 1e-2, "adaptive": True},
        )
        best = sorted(found.x.tolist(), reverse=True)
        told("found", best, errors(best, mixtures, trained))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main([int(number) for number in sys.argv[1].split(",")])
