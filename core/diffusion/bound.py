"""Variational bounds of the likelihood, in continuous time and for a chain of steps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from ..errors import ConfigError
from .gaussian import divergence, log_density, log_probability
from .level import Level
from .noise import Draws, Key
from .sampling import Denoise
from .transition import Variance, transition

__all__ = ["chain_bound", "continuous_bound"]

_NOISIEST = -14.0
"""Log-SNR below which nothing is looked at where alpha(1) is 0: what is left there is 4e-7 nats for a number of unit
variance."""


def continuous_bound(
    denoise: Denoise,
    x0: Tensor,
    first: Level[float],
    end: Level[float],
    *,
    keys: Sequence[Key],
    draws: int,
    values: int,
    reach: float,
) -> tuple[Tensor, Tensor]:
    """Return the bound in continuous time (rows,) in nats, float64, and its standard error (rows,).

    The diffusion loss is ``0.5 * integral of |eps - eps_predicted|**2 over log-SNR``: one moment is drawn in each of
    ``draws`` equal parts, the same for all rows. ``sigmoid(log_snr) * (|eps|**2 - size)``, whose mean is 0, is taken
    off: it is most of the spread for data of unit variance. The error is told by the differences of neighbouring parts.

    Args:
        denoise: the model.
        x0: items (rows, \\*item).
        first: the level where they count as clean; there they are read off as they are, with that noise.
        end: the level at t = 1.
        keys: of the rows.
        draws: how many moments.
        values: how many a number may have, or 0.
        reach: the largest of them.

    Source: Kingma et al. 2021, arXiv 2107.00630, equations 11, 13 and 18, and section 3.3 (what is read off), appendix
    I.1 (moments of low discrepancy).
    """
    drawn, size = Draws(), math.prod(x0.shape[1:])
    low, high = max(end.log_snr, _NOISIEST), first.log_snr
    at = drawn.uniform(Key(0), (draws,), purpose="bound-moments")
    terms = torch.empty(len(x0), draws, dtype=torch.float64)
    for number in range(draws):
        level = first.at_log_snr(low + (high - low) * (number + at[number].item()) / draws)
        eps = drawn.normal(keys, x0.shape[1:], purpose="bound", step=number, dtype=x0.dtype, device=x0.device)
        with torch.no_grad():
            off = denoise(level.alpha * x0 + level.sigma * eps, level) - x0
        usual = level.alpha**2 / (level.alpha**2 + level.sigma**2) * (_square(eps) - size)
        terms[:, number] = (level.alpha / level.sigma) ** 2 * _square(off) - usual
    terms *= 0.5 * (high - low)
    nsr = first.sigma / first.alpha
    read = _read_off(drawn, x0, keys, nsr, values, reach)
    nats = read - terms.mean(1) - _of_prior(x0, end)
    spread = terms.diff(dim=1).square().sum(1) / (2 * draws * max(draws - 1, 1))
    return nats, spread.sqrt() if draws > 1 else torch.full_like(nats, math.nan)


def chain_bound(
    denoise: Denoise,
    x0: Tensor,
    levels: Sequence[Level[float]],
    *,
    keys: Sequence[Key],
    draws: int,
    values: int,
    reach: float,
    variance: Literal["small", "large", "learned"],
) -> tuple[Tensor, Tensor]:
    """Return the bound of a chain of steps (rows,) in nats, float64, and its standard error (rows,).

    The steps' divergences are added up; the last one, to the data, is read off with the variance of the step before in
    the place of the posterior's, which is 0.

    Args:
        denoise: the model, with a ``variance`` where it is to be the learned one.
        x0: items (rows, \\*item).
        levels: from noise to data, the last one without noise.
        keys: of the rows.
        draws: how many walks; from two their difference gives the error, which one leaves unknown (NaN).
        values: how many a number may have, or 0.
        reach: the largest of them.
        variance: of a step.

    Raises:
        ConfigError: the denoiser says no variance.

    Source: Ho et al. 2020, arXiv 2006.11239, equations 5, 7 and 13; Nichol and Dhariwal 2021, arXiv 2102.09672,
    equations 5 to 7 and 15.
    """
    drawn = Draws()
    walks = torch.zeros(len(x0), draws, dtype=torch.float64)
    steps = list(pairwise(levels))
    for walk in range(draws):
        for number, (here, next) in enumerate(steps):
            eps = drawn.normal(
                keys, x0.shape[1:], purpose=f"chain-{walk}", step=number, dtype=x0.dtype, device=x0.device
            )
            with torch.no_grad():
                predicted = denoise(here.alpha * x0 + here.sigma * eps, here)
                step, whole = transition(here, next), number == len(steps) - 1
                # In the place of the last posterior's variance, which is 0, stands that of the step before.
                pair = steps[max(number - 1, 0)] if whole else (here, next)
                small = (transition(*pair).small or step.large) if whole else step.small
                log_ratio = _share(denoise, pair, variance) * math.log(step.large / small)
                if whole:
                    log_deviation = (0.5 * (math.log(small) + log_ratio)).expand(x0.shape)
                    walks[:, walk] -= _logs(x0, predicted.double(), log_deviation, values, reach)
                else:
                    off = step.of_x0 / math.sqrt(small) * (x0 - predicted)
                    walks[:, walk] += divergence(off.double(), log_ratio).flatten(1).sum(1).cpu()
    nats = -walks.mean(1) - _of_prior(x0, levels[0])
    return nats, walks.std(1) / math.sqrt(draws) if draws > 1 else torch.full_like(nats, math.nan)


def _share(denoise: Denoise, pair: tuple[Level[float], Level[float]], variance: str) -> Tensor:
    """Return where a step's variance lies between the logarithms of the small one (0) and the large one (1)."""
    if variance != "learned":
        return torch.tensor(float(variance == "large"), dtype=torch.float64)
    learnt: Variance | None = getattr(denoise, "variance", None)
    step = transition(*pair)
    if learnt is None or step.small <= 0:
        raise ConfigError(
            'variance = "learned": the denoiser has none, or there is one step; use "small" or "large", or a model '
            "whose objective learns the variance, such as hybrid-vlb"
        )
    return torch.log(learnt(*pair).double() / step.small) / math.log(step.large / step.small)


def _of_prior(x0: Tensor, end: Level[float]) -> Tensor:
    """Return KL(q(x_1 | x0) || N(0, sigma(1)**2)) (rows,) in nats."""
    return 0.5 * (end.alpha / end.sigma) ** 2 * _square(x0)


def _read_off(drawn: Draws, x0: Tensor, keys: Sequence[Key], nsr: float, values: int, reach: float) -> Tensor:
    """Return E log p(x0 | z) (rows,) in nats of items read off themselves with noise: z = x0 + nsr * eps.

    Of continuous numbers it is known; of values one z is drawn.
    """
    size = math.prod(x0.shape[1:])
    if not values:
        return torch.full((len(x0),), -0.5 * size * (1 + math.log(2 * math.pi * nsr**2)), dtype=torch.float64)
    eps = drawn.normal(keys, x0.shape[1:], purpose="bound-data", dtype=torch.float64, device=x0.device)
    z = x0.double() + nsr * eps
    return _logs(x0, z, torch.full_like(z, math.log(nsr)), values, reach)


def _logs(x0: Tensor, mean: Tensor, log_deviation: Tensor, values: int, reach: float) -> Tensor:
    """Return log N(x0; mean, deviation**2) of each row (rows,), or the log-probability of its values."""
    args = x0.double(), mean, log_deviation
    logs = log_probability(*args, values, reach) if values else log_density(*args)
    return logs.flatten(1).sum(1).cpu()


def _square(x: Tensor) -> Tensor:
    return x.double().flatten(1).square().sum(1).cpu()
