"""How likely a model takes items to be: exactly, by its probability-flow ODE, or bounded from below."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ..errors import ConfigError, NumericError, nearest
from .bound import chain_bound, continuous_bound
from .flow_likelihood import Trace, flow_log_density
from .level import Level
from .noise import Draws, Key, keys_of
from .process import Process, complete, levels_at
from .sampling import Denoise, Grid, levels_from, part_of

__all__ = ["Likelihood", "log_likelihood"]

METHODS = ("ode", "bound", "chain")


@dataclass(frozen=True)
class Likelihood:
    """What is known of the likelihood of some items.

    Attributes:
        nats: log-likelihood of each item (rows,), float64, or a lower bound of it; of its density, or of its
            probability where its numbers are of a few values.
        error: standard error of it (rows,), by what was drawn; 0 where nothing was.
        nfe: calls of the denoiser for each item.
        size: how many numbers an item has.
    """

    nats: Tensor
    error: Tensor
    nfe: int
    size: int

    @property
    def bits_per_dim(self) -> Tensor:
        """Return ``-nats / (size * log(2))`` of each item (rows,): less is better; a high density is below 0."""
        return -self.nats / (self.size * math.log(2))


def log_likelihood(
    denoise: Denoise,
    x0: Tensor,
    *,
    process: Process | str,
    method: Literal["ode", "bound", "chain"] = "ode",
    values: int = 0,
    reach: float = 1.0,
    seeds: Sequence[int | Key] | None = None,
    start: float = 1e-3,
    trace: Trace = "auto",
    probes: int = 4,
    rtol: float = 1e-5,
    atol: float = 1e-5,
    draws: int = 256,
    grid: Grid | str = "log-snr",
    steps: int = 100,
    variance: Literal["small", "large", "learned"] = "small",
) -> Likelihood:
    """Return how likely a model takes items to be.

    "ode" is exact but for the trace's error, which is told: the density of what the probability-flow ODE makes of
    N(0, sigma(1)**2). "bound" is the variational bound in continuous time, the same for every process of the same ends;
    "chain" that of the steps of a grid, for models with a learned variance among others. Bounds lie below, in the mean.

    All take the items at a noise-to-data ratio of ``start`` for clean, as any model that was trained down to some noise
    has to be: what is told is the likelihood under the model's data with that much noise. For data that are smooth at
    that scale, of curvature 1 / width**2, the mean over items changes by (start / width)**4 / 4 nats a number in "ode"
    and by (start / width)**2 / 2 in "bound"; that of "chain" is what its last step leaves.

    Args:
        denoise: ``(x_t, level) -> x0``; "ode" differentiates it.
        x0: the items (rows, \\*item), as the model sees them.
        process: how data is destroyed: a process or its name.
        method: see above.
        values: how many a number of an item may have, 256 for pixels of 8 bits; 0 where it is continuous. "ode" then
            adds uniform noise within a value (dequantisation), which makes it a bound, too.
        reach: the largest of the values, which lie evenly from ``-reach`` to ``reach``.
        seeds: a seed or ``Key`` for each row, of whatever is drawn for it; if omitted 0, 1, 2, …
        start: sigma / alpha where items count as clean.
        trace: "ode": how the divergence is found: "exact", one derivative for each number of an item, or by
            Hutchinson's estimator with "rademacher" or "gaussian" numbers; "auto" is exact up to 16 numbers.
        probes: "ode": how many such estimates; their spread gives the error, which 1 leaves unknown (NaN).
        rtol: "ode": tolerance of a step, as a share of the state.
        atol: "ode": tolerance beside it, of the items, and in nats a number.
        draws: "bound": moments looked at, one in each of so many parts of the log-SNR; "chain": walks through all
            steps, of which it takes two at most.
        grid: "chain": which times are visited: a grid or its name.
        steps: "chain": how many.
        variance: "chain": of a step, as in the sampler ``ddpm``; "learned" where the denoiser says one.

    Raises:
        ConfigError: a wrong argument, or items that do not hold the values.
        NumericError: the items or their likelihood are not finite, or the tolerance cannot be met.

    Source: Song et al. 2021, arXiv 2011.13456, section 4.3 and appendix D.2 ("ode"); Kingma et al. 2021, arXiv
    2107.00630, equations 11 to 18 ("bound"); Ho et al. 2020, arXiv 2006.11239, equation 5 ("chain").

    Example:
        >>> mixture = GaussianMixture([[-1.0], [1.0]], [0.1, 0.1])
        >>> log_likelihood(mixture, mixture.sample(4), process="flow").bits_per_dim
    """
    if method not in METHODS:
        raise ConfigError(f"method: unknown method {method!r}; {nearest(str(method), METHODS)}")
    of_bounds = {"start": (start, 0.0, 1.0), "rtol": (rtol, 0.0, 1.0), "atol": (atol, 0.0, 1.0)}
    for name, (number, low, high) in of_bounds.items():
        if not low < number <= high:
            raise ConfigError(f"{name}: expected a number above {low:g}, up to {high:g}, got {number!r}")
    for name, count in (("probes", probes), ("draws", draws)):
        if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= 1_000_000:
            raise ConfigError(f"{name}: expected a whole number from 1 to 1000000, got {count!r}")
    if x0.ndim < 2 or not x0.is_floating_point():
        raise ConfigError(f"x0: expected rows of numbers (rows, *item), got {tuple(x0.shape)} {x0.dtype}")
    if not bool(torch.isfinite(x0).all()):
        raise NumericError("likelihood: an item is not finite; look at the data")
    keys = keys_of(range(len(x0)) if seeds is None else seeds)
    if len(keys) != len(x0):
        raise ConfigError(f"likelihood: x0 has {len(x0)} rows but there are {len(keys)} seeds; give one for each row")
    _check_values(x0, values, reach)
    made = complete(part_of("process", process))
    counted, size = _Counted(denoise), math.prod(x0.shape[1:])
    (end,) = levels_at(made, torch.ones(1, dtype=torch.float64))
    first = end.at_log_snr(-2 * math.log(start))
    if method == "ode":
        width = 2 * reach / (values - 1) if values else 0.0
        given = x0 + width * _within(keys, x0) if values else x0
        nats, error = flow_log_density(
            counted, given, first, end, keys=keys, trace=trace, probes=probes, rtol=rtol, atol=atol
        )
        nats = nats + (size * math.log(width) if values else 0.0)
    elif method == "bound":
        nats, error = continuous_bound(counted, x0, first, end, keys=keys, draws=draws, values=values, reach=reach)
    else:
        levels = levels_from(made, part_of("grid", grid), steps)
        nats, error = chain_bound(
            counted, x0, levels, keys=keys, draws=min(draws, 2), values=values, reach=reach, variance=variance
        )
    if not bool(torch.isfinite(nats).all()):
        raise NumericError("likelihood: it is not finite; use float32 or float64, and look at the model")
    return Likelihood(nats, error, counted.calls, size)


def _check_values(x0: Tensor, values: int, reach: float) -> None:
    """Refuse numbers that are none of the values."""
    if isinstance(values, bool) or not isinstance(values, int) or not (values == 0 or 2 <= values <= 65_536):
        raise ConfigError(f"values: expected 0, or a whole number from 2 to 65536, got {values!r}")
    if not (math.isfinite(reach) and reach > 0):
        raise ConfigError(f"reach: expected a number above 0, got {reach!r}")
    if values:
        place = (x0.double() / reach + 1) * (values - 1) / 2
        off = (place - place.round().clamp(0, values - 1)).abs().max().item()
        if off > 0.01:
            raise ConfigError(
                f"values: a number of an item is {off:.2g} of a value away from all {values} values from {-reach:g} to "
                f"{reach:g}; give values = 0 for continuous numbers"
            )


def _within(keys: Sequence[Key], x0: Tensor) -> Tensor:
    """Return uniform numbers in [-0.5, 0.5) like ``x0``."""
    drawn = Draws()
    rows = [drawn.uniform(key, x0.shape[1:], purpose="dequantisation") - 0.5 for key in keys]
    return torch.stack(rows).to(x0)


class _Counted:
    """A denoiser that counts its calls."""

    def __init__(self, denoise: Denoise) -> None:
        self.denoise, self.calls = denoise, 0

    def __call__(self, x: Tensor, level: Level[float]) -> Tensor:
        self.calls += 1
        return self.denoise(x, level)

    def __getattr__(self, name: str) -> object:
        return getattr(self.denoise, name)
