"""The process as a stochastic equation: forward, exactly and to first order, backward, and as an ODE.

Forward in time an item is an Ornstein-Uhlenbeck process, ``dx = f(t) x dt + g(t) dw``. Rates are per unit of t, the
[0, 1] of the process; where alpha(1) = 0 they are infinite at t = 1, while :func:`forward` and
:func:`probability_flow` have a value there.
"""

from __future__ import annotations

import math
from typing import Generic, NamedTuple

import torch
from torch import Tensor

from .level import Level, Scalar, expand
from .process import CompleteProcess

__all__ = ["Step", "diffusion", "drift", "first_order", "forward", "probability_flow", "reverse_drift"]

_NEXT_TO_DATA = 1e-9
"""Where g is taken at t = 0 if sigma starts like a root there: its derivative is infinite, g is not."""


def drift(process: CompleteProcess, t: Tensor) -> Tensor:
    """Return f(t) of the forward SDE ``dx = f(t) x dt + g(t) dw``: d log(alpha) / dt, of t's shape.

    Source: Kingma et al. 2021, arXiv 2107.00630, appendix; Song et al. 2021, arXiv 2011.13456, equation 5.
    """
    return process.d_alpha(t) / process.alpha(t)


def diffusion(process: CompleteProcess, t: Tensor) -> Tensor:
    """Return g(t) of the forward SDE ``dx = f(t) x dt + g(t) dw``: sqrt(d sigma**2 / dt - 2 f sigma**2), of t's shape.

    Source: as :func:`drift`.
    """
    t = torch.where(torch.isfinite(process.d_sigma(t)), t, _NEXT_TO_DATA)
    sigma = process.sigma(t)
    return torch.sqrt(2 * sigma * (process.d_sigma(t) - drift(process, t) * sigma))


class Step(NamedTuple, Generic[Scalar]):
    """A Gaussian step forward, ``q(x_there | x_here) = N(of_x * x_here, variance)``.

    Attributes:
        of_x: factor of x_here in the mean.
        variance: of the noise that the step adds, the same for each value of an item.
    """

    of_x: Scalar
    variance: Scalar

    @property
    def deviation(self) -> float:
        """Standard deviation of that noise, of a step of floats; 0 where it leads to a level that is no noisier."""
        return math.sqrt(max(0.0, float(self.variance)))


def forward(here: Level[Scalar], there: Level[Scalar]) -> Step[Scalar]:
    """Return the exact step from ``here`` to the noisier level ``there``, however far; alpha at ``here`` is not 0.

    Source: Kingma et al. 2021, arXiv 2107.00630, appendix A.1.
    """
    kept = there.alpha / here.alpha
    return Step(kept, there.sigma**2 - (kept * here.sigma) ** 2)


def first_order(process: CompleteProcess, here: Tensor, there: Tensor) -> Step[Tensor]:
    """Return the step of Euler and Maruyama from times ``here`` to ``there``: ``1 + f h`` and ``g**2 h``.

    What :func:`forward` is to first order in ``h = there - here``, with both rates taken at ``here``.

    Source: Song et al. 2021, arXiv 2011.13456, appendix B (the discrete steps whose limit the SDEs are); Kloeden and
    Platen 1992, equation 10.2.4.
    """
    h = there - here
    return Step(1 + drift(process, here) * h, diffusion(process, here) ** 2 * h)


def reverse_drift(process: CompleteProcess, t: Tensor, x: Tensor, score: Tensor, *, noise: float = 1.0) -> Tensor:
    """Return the drift of the SDE that leads back, ``dx = (f x - (1 + noise**2) / 2 g**2 score) dt + noise g dw``.

    Time runs backward in it, dt < 0. Every ``noise`` gives the marginals of the forward SDE.

    Args:
        process: the forward process.
        t: times (batch,), or one for all of shape ().
        x: items (batch, \\*item) at those times.
        score: gradient of log p_t at x, like x.
        noise: factor of the fresh noise; 1 is the forward SDE reversed, 0 the probability-flow ODE.

    Source: Song et al. 2021, arXiv 2011.13456, equations 6 and 13; Karras et al. 2022, arXiv 2206.00364, equation 6
    (any amount of noise).
    """
    pull = 0.5 * (1 + noise**2) * diffusion(process, t) ** 2
    return expand(drift(process, t), x) * x - expand(pull, x) * score


def probability_flow(x: Tensor, x0: Tensor, level: Level[Scalar]) -> Tensor:
    """Return dx/dt of the probability-flow ODE, ``d_alpha * x0 + d_sigma * eps``, given what the denoiser says.

    Finite at alpha = 0 if d_alpha is, and at sigma = 0 if d_sigma is: eps = -sigma * score vanishes there.

    Args:
        x: items (batch, \\*item) at the level.
        x0: their ideal clean items, like x.
        level: of floats, or of tensors (batch,).

    Source: Song et al. 2021, arXiv 2011.13456, equation 13; Lipman et al. 2023, arXiv 2210.02747, theorem 3 (the same
    in alpha and sigma).
    """
    alpha, sigma, d_alpha, d_sigma = (
        torch.as_tensor(value, dtype=torch.float64)
        for value in (level.alpha, level.sigma, level.d_alpha, level.d_sigma)
    )
    rate = torch.where((sigma == 0) & torch.isfinite(d_sigma), 0.0, d_sigma / sigma)
    return expand(rate, x) * x + expand(d_alpha - rate * alpha, x) * x0
