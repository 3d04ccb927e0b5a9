"""One step back along a process: what x_next is distributed like, given x_here and the clean item.

For Gaussian transitions between any two levels of any process; a step of a table of betas is one case of it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Generic, NamedTuple

import torch
from torch import Tensor

from .level import Level, Numbers, Scalar
from .sde import forward

__all__ = ["Transition", "Variance", "fresh_deviation", "learnt_variance", "share_of", "transition"]

Variance = Callable[[Level[float], Level[float]], Tensor]
"""``(here, next) -> variance`` (batch, \\*item) of x at ``next`` for items at ``here``."""


class Transition(NamedTuple, Generic[Scalar]):
    """The posterior ``q(x_next | x_here, x0) = N(of_x * x_here + of_x0 * x0, small)`` and the variances beside it.

    Fields are floats or tensors, as those of the levels.

    Attributes:
        of_x: factor of x_here in the mean.
        of_x0: factor of the clean item in the mean.
        small: variance of the posterior, beta-tilde of the papers: right if the data were one point.
        large: variance of x_next given x_here alone if the data were of unit variance; on variance-preserving
            processes that of the forward step, beta of the papers. Never below ``small``.

    Source: Ho et al. 2020, arXiv 2006.11239, equations 6 and 7; Kingma et al. 2021, arXiv 2107.00630, appendix A.2.
    """

    of_x: Scalar
    of_x0: Scalar
    small: Scalar
    large: Scalar


def transition(here: Level[Scalar], next: Level[Scalar]) -> Transition[Scalar]:
    """Return the transition from ``here`` to the cleaner level ``next``; sigma at ``here`` is not 0."""
    kept, added = forward(next, here)
    share = next.sigma**2 / here.sigma**2
    of_unit = (next.alpha**2 + next.sigma**2) / (here.alpha**2 + here.sigma**2)
    return Transition(kept * share, next.alpha * added / here.sigma**2, added * share, added * of_unit)


def fresh_deviation(here: Level[float], next: Level[float], eta: float) -> float:
    """Return the deviation of the fresh noise in a step back: eta times the posterior's, at most all that ``next`` has.

    Source: Song et al. 2021, arXiv 2010.02502, equation 16.
    """
    return _fresh_deviation(here.numbers, next.numbers, eta)


@lru_cache(maxsize=4096)  # runs on the same grid ask for the same
def _fresh_deviation(here: Numbers[float], next: Numbers[float], eta: float) -> float:
    before, after = Level(*here), Level(*next)
    return after.sigma * min(eta / before.sigma * forward(after, before).deviation, 1.0)


def share_of(output: Tensor) -> Tensor:
    """Return where between the logarithms of ``small`` (0) and ``large`` (1) a network's output says the variance is.

    An output of -1 is small, of 1 large; it is not held to these. A variance is then
    ``large**share * small**(1 - share)``.

    Source: Nichol and Dhariwal 2021, arXiv 2102.09672, equation 15; the range is that of their code.
    """
    return (output + 1) / 2


def learnt_variance(output: Tensor, here: Level[float], next: Level[float]) -> Tensor:
    """Return the variance of x_next given x_here that a network says, like ``output`` (batch, \\*item).

    0 where ``next`` is data: nothing is in doubt there.
    """
    step = transition(here, next)
    if step.small <= 0:
        return torch.zeros_like(output)
    return step.small * (step.large / step.small) ** share_of(output)
