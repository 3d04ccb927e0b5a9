"""The times that suit a denoiser, a sampler and a number of steps best, found by trial."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from ..errors import ConfigError, NumericError
from .descent import descended
from .level import Level
from .noise import Draws, Key, keys_of
from .process import Process, complete, levels_at
from .sampling import Denoise, Grid, Sampler, part_of, sample

__all__ = ["Found", "Trial", "fine_steps", "optimal_grid"]

_GRIDS: tuple[tuple[str, dict[str, float]], ...] = (
    *(("angle", {"stretch": stretch}) for stretch in (1.0, 1.25, 1.5, 2.0)),
    *((name, {}) for name in ("log-snr", "karras", "uniform", "quadratic")),
)
"""Where the search may begin."""

_WAVES = ((4, 0.5), (11, 0.1))
"""How many cosines bend the gaps, and by how much at first: few, which learn little by heart; then, of up to 12 steps,
each by itself."""

_RUNS = 120  # by taste: nine to begin with, three rounds over 4 cosines, two or three over 11
_FINE, _FINER = 100, 6  # steps of a fine run: at least, and for each of the candidates'; of order 3, 6 is 1/200


@dataclass(frozen=True)
class Found:
    """The best times that a trial has found for a number of steps.

    Attributes:
        steps: how many.
        nsr: noise-to-signal ratios of the times between the first and the last (steps - 1,), as grid/optimal has them.
        before: mean distance, on the grid that it is to replace, of the runs that had no part in the choice.
        after: the same on the new one.
        calls: of the denoiser for these steps.
    """

    steps: int
    nsr: tuple[float, ...]
    before: float
    after: float
    calls: int


def optimal_grid(
    denoise: Denoise,
    *,
    process: Process | str,
    sampler: Sampler | str,
    steps: int | Sequence[int],
    shape: Sequence[int],
    seeds: Sequence[int | Key],
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    power: float = 1.0,
    calls: int | None = None,
) -> Grid:
    """Return the grid ``optimal`` with the times that trial runs choose for a denoiser, a sampler and few steps.

    See :class:`Trial` for how.

    Args:
        denoise: ``(x_t, level) -> x0``, for one row of each seed.
        process: how data was destroyed: a process or its name.
        sampler: how one step is made, likewise; one that adds no noise.
        steps: number of steps, at least 2, or several numbers, each of which gets times of its own.
        shape: shape of one item.
        seeds: a seed or :class:`Key` for each trial run; eight are enough for most.
        dtype: of the items.
        device: likewise.
        power: by what power of their distance the runs count, see :class:`Trial`.
        calls: most calls of the denoiser for each number of steps, beside the fine runs'; those of 120 runs if omitted.

    Raises:
        ConfigError: the sampler adds noise, or an argument is out of bounds.
        NumericError: the fine runs gave values that are not finite.

    Example:
        >>> mixture = GaussianMixture([[-1.0], [1.0]], [0.1, 0.1])
        >>> grid = optimal_grid(mixture, process="vp-linear", sampler="spline", steps=5, shape=(1,), seeds=range(8))
    """
    numbers = (steps,) if isinstance(steps, int) else tuple(steps)
    most = max((number for number in numbers if isinstance(number, int)), default=0)
    trial = Trial(
        denoise,
        process=process,
        sampler=sampler,
        shape=shape,
        seeds=seeds,
        steps=most,
        dtype=dtype,
        device=device,
        power=power,
    )
    found = [trial.best(number, calls=calls) for number in numbers]
    return cast(Grid, part_of("grid", "optimal", nsr=[list(one.nsr) for one in found]))


def fine_steps(steps: int) -> int:
    """Return the steps of a fine run, each a call of the denoiser, where ``steps`` is the most of the candidates'."""
    return max(_FINE, _FINER * steps)


class Trial:
    """Trial runs of a sampler, held against fine runs of the probability-flow ODE from the same starts.

    The fine runs end where the ODE does: no other reference is needed. What is to become small is the runs' distance to
    them, as ``mean(distance**power)**(1 / power)``. A run that ends in another mode is as far off as the modes are
    apart, however little was missing. The root mean square, power 2, is decided by those few, and fewer than some
    hundreds of starts cannot tell how many there are; the plain mean, power 1, ranks grids by few starts much as it
    does by many.

    The search begins on the best of the usual grids and bends it: the logarithm of its gaps in the angle
    ``atan(sigma / alpha)`` by a sum of cosines. The runs at even places choose; the others check, and what does not
    bring these nearer too is dropped. Nothing is drawn but the starts.

    Args:
        denoise: ``(x_t, level) -> x0``, for one row of each seed.
        process: a process or its name.
        sampler: likewise.
        shape: of an item.
        seeds: of the trial runs, which start as those of :func:`~.sampling.sample` do.
        steps: the largest number of steps that will be asked for.
        dtype: of the items.
        device: likewise.
        power: above 0.

    Attributes:
        calls: of the denoiser so far.
        spread: root mean square of the fine runs' ends, to hold distances against.
    """

    def __init__(
        self,
        denoise: Denoise,
        *,
        process: Process | str,
        sampler: Sampler | str,
        shape: Sequence[int],
        seeds: Sequence[int | Key],
        steps: int,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        power: float = 1.0,
    ) -> None:
        self._denoise, self._process = denoise, complete(part_of("process", process))
        self._sampler: Sampler = part_of("sampler", sampler)
        if self._sampler.stochastic:
            raise ConfigError(
                f"optimal times: sampler {type(self._sampler).__name__} adds noise, so that no run ends where a finer "
                "one does; use one that adds none, such as spline or ddim"
            )
        if isinstance(power, bool) or not isinstance(power, int | float) or not 0 < power < math.inf:
            raise ConfigError(f"optimal times: power: expected a number above 0, got {power!r}")
        self._keys, self._power, self.calls = keys_of(seeds), power, 0
        if len(self._keys) < 2:
            raise ConfigError("optimal times: seeds: expected at least two, one to choose by and one to check by")
        self._noise = Draws().normal(self._keys, shape, purpose="prior", dtype=dtype, device=device)
        fine = part_of("grid", "angle", stretch=1.5).times(self._process, fine_steps(steps))
        self._end = self._run(part_of("sampler", "spline"), fine)
        self.spread = self._end.double().square().mean().sqrt().item()

    def best(self, steps: int, *, than: Grid | str = "angle", calls: int | None = None) -> Found:
        """Return the best times for a number of steps.

        Args:
            steps: how many, at least 2.
            than: the grid that they are to replace; its own are returned where nothing better is found.
            calls: most calls of the denoiser, of which four runs are made in any case; those of 120 runs if omitted.
        """
        if isinstance(steps, bool) or not isinstance(steps, int) or steps < 2:
            raise ConfigError(f"optimal times: steps: expected a whole number from 2, got {steps!r}")
        return _Search(self, steps, part_of("grid", than), calls).found()

    def most_calls(self, steps: int) -> int:
        """Return the most calls of the denoiser for a number of steps, where nothing else is said."""
        return _RUNS * steps * self._sampler.nfe_per_step

    def distance(self, grid: Grid, steps: int, sampler: Sampler) -> float:
        """Return the mean distance, on some grid by some sampler, of the runs that have no part in choosing."""
        return self.checked(self.errors(self.times(grid, steps), sampler))

    def times(self, grid: Grid, steps: int) -> Tensor:
        """Return the times of a grid (steps + 1,)."""
        return grid.times(self._process, steps)

    def angles(self, times: Tensor) -> Tensor:
        """Return ``atan(sigma / alpha)`` at times (steps + 1,)."""
        return torch.atan2(self._process.sigma(times), self._process.alpha(times))

    def times_at(self, theta: Tensor) -> Tensor:
        """Return the times of angles (steps + 1,), the first of them 1 and the last 0."""
        times = self._process.t_of_log_snr(-2 * torch.log(torch.tan(theta[1:-1])))
        return torch.cat([times.new_ones(1), times, times.new_zeros(1)])

    def errors(self, times: Tensor, sampler: Sampler | None = None) -> Tensor:
        """Return how far from its fine run each run ends on a grid of these times (runs,); infinity where it fails."""
        try:
            reached = self._run(sampler or self._sampler, times)
        except NumericError:
            return torch.full((len(self._keys),), math.inf, dtype=torch.float64)
        return (reached - self._end).double().flatten(1).square().mean(1).sqrt()

    def chosen(self, errors: Tensor) -> float:
        """Return the mean of the runs that choose."""
        return self._mean(errors[::2])

    def checked(self, errors: Tensor) -> float:
        """Return the mean of the runs that check."""
        return self._mean(errors[1::2])

    def _mean(self, errors: Tensor) -> float:
        return float(errors.pow(self._power).mean() ** (1 / self._power))

    @property
    def lowest(self) -> float:
        """The smallest angle that a time before 0 may have: that of a table's first entry."""
        t = torch.tensor(1 / getattr(self._process, "length", math.inf), dtype=torch.float64)
        return math.atan2(self._process.sigma(t).item(), self._process.alpha(t).item())

    @property
    def nfe_per_step(self) -> int:
        """Most calls of the denoiser in a step."""
        return self._sampler.nfe_per_step

    def _run(self, sampler: Sampler, times: Tensor) -> Tensor:
        (first,) = levels_at(self._process, times[:1])
        return sample(
            self._counted,
            process=self._process,
            sampler=sampler,
            grid=_Times(times),
            steps=len(times) - 1,
            x=first.sigma * self._noise,
            seeds=self._keys,
        )

    def _counted(self, x: Tensor, level: Level[float]) -> Tensor:
        self.calls += 1
        return self._denoise(x, level)


class _Search:
    """The search for one number of steps."""

    def __init__(self, trial: Trial, steps: int, than: Grid, calls: int | None) -> None:
        self._trial, self._steps, self._than = trial, steps, than
        self._begun = trial.calls
        self._run = steps * trial.nfe_per_step
        self._most = trial.most_calls(steps) if calls is None else calls

    def found(self) -> Found:
        trial, steps = self._trial, self._steps
        usual = trial.times(self._than, steps)
        replaced = trial.errors(usual)
        before = trial.checked(replaced)
        bases, checked = list[tuple[float, Tensor]](), list[tuple[float, Tensor]]()
        if usual[0] == 1 and usual[-1] == 0:  # as all grids do but some that thin out a table
            theta = trial.angles(usual)
            bases.append((self._log(replaced), theta))
            checked.append((before, theta))
        for name, params in _GRIDS:
            theta = trial.angles(trial.times(part_of("grid", name, **params), steps))
            bases.append((self._value(theta), theta))
        value, base = min(bases, key=_first)
        bend = tuple[float, ...]()
        for waves, width in ((0, 0.0), *_WAVES):
            if waves and math.isfinite(value):
                start = (*bend, *(0.0,) * (min(waves, steps - 1) - len(bend)))
                bend, value = descended(lambda these: self._value(self._bent(base, these)), start, value, width)
            theta = self._bent(base, bend)
            checked.append((trial.checked(trial.errors(trial.times_at(theta))), theta))
        after, theta = min(checked, key=_first)
        return Found(steps, tuple(torch.tan(theta[1:-1]).tolist()), before, after, trial.calls - self._begun)

    def _value(self, theta: Tensor) -> float:
        """Return the logarithm of the error of a candidate; infinity once the calls are used up."""
        kept = (1 + len(_WAVES)) * self._run  # for the check at the end
        if self._trial.calls - self._begun + self._run + kept > self._most:
            return math.inf
        return self._log(self._trial.errors(self._trial.times_at(theta)))

    def _log(self, errors: Tensor) -> float:
        return math.log(max(self._trial.chosen(errors), 1e-300))

    def _bent(self, theta: Tensor, bend: tuple[float, ...]) -> Tensor:
        """Return angles whose gaps are ``exp(sum_k bend_k cos(pi k u))`` times as wide, made to fill what they did."""
        if not bend:
            return theta
        u = (torch.arange(self._steps, dtype=torch.float64) + 0.5) / self._steps
        waves = torch.stack([torch.cos(math.pi * k * u) for k in range(1, 1 + len(bend))])
        gaps = -theta.diff() * torch.exp(torch.tensor(bend, dtype=torch.float64) @ waves)
        whole, last = theta[0], max(gaps[-1] / gaps.sum(), self._trial.lowest / theta[0])
        share = torch.cumsum(gaps[:-1], 0) * ((1 - last) / gaps[:-1].sum())
        return torch.cat([theta[:1], whole * (1 - share), theta[-1:]])


@dataclass(frozen=True)
class _Times:
    """Times as a grid."""

    given: Tensor

    def times(self, process: Process, steps: int) -> Tensor:
        return self.given


def _first(one: tuple[float, Tensor]) -> float:
    return one[0]
