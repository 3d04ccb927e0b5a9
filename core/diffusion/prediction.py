"""What a network predicts, and how it converts: everything goes through the pair (x0, eps).

Every prediction of the literature is a combination ``a * x0 + b * eps`` with factors that depend on the level only.
Together with ``x_t = alpha * x0 + sigma * eps`` it makes two equations for two unknowns, so one class serves
them all and no conversion is written by hand.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from .level import Level, Numbers, Scalar
from .process import CompleteProcess, levels_at

__all__ = ["EPS", "SCORE", "VELOCITY", "X0", "Prediction", "Reading", "V", "edm"]

_KEPT = 4096
"""Levels of which a prediction keeps how it reads them."""


class Reading(NamedTuple):
    """How a network is asked at a level, and its output is read: ``x0 = of_x * x_t + of_output * output``.

    Attributes:
        scale: factor on x_t before it enters the network.
        time: that the network is told.
        of_x: factor.
        of_output: factor.
    """

    scale: float
    time: float
    of_x: float
    of_output: float


@dataclass(frozen=True)
class Prediction:
    """A prediction ``output = a(level) * x0 + b(level) * eps`` and what the network is shown to make it.

    Its functions look at nothing but the six numbers of a level: what they say of them is kept.

    Attributes:
        name: the field's name for it.
        factors: level -> (a, b).
        scale: level -> factor on x_t before it enters the network; 1 / sqrt(alpha**2 + sigma**2) brings data of
            unit variance to unit variance at every level, and is 1 for variance-preserving processes.
        time: level -> the time that the network is told.
        learns_variance: whether the output has twice the channels of an item, of which the second half says how
            uncertain a step is, see :func:`~.transition.share_of`.
    """

    name: str
    factors: Callable[[Level[Scalar]], tuple[Scalar, Scalar]]
    scale: Callable[[Level[Scalar]], Scalar] = lambda level: (level.alpha**2 + level.sigma**2) ** -0.5
    time: Callable[[Level[Scalar]], Scalar] = lambda level: level.t
    learns_variance: bool = False
    _kept: dict[Numbers[float], Reading] = field(default_factory=dict, init=False, repr=False, compare=False)

    def output_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Return the shape of the network's output for items ``shape`` (batch, channels, \\*space)."""
        return (shape[0], shape[1] * (2 if self.learns_variance else 1), *shape[2:])

    def target(self, x0: Tensor, eps: Tensor, level: Level[Tensor]) -> Tensor:
        """Return what the network should say of ``x0`` and ``eps`` (batch, \\*item) at a level that broadcasts."""
        a, b = self.factors(level)
        return a * x0 + b * eps

    def x0(self, output: Tensor, x: Tensor, level: Level[Scalar]) -> Tensor:
        """Return the clean item that ``output`` stands for, given the noisy one ``x``."""
        of_x, of_output = self.x0_factors(level)
        return of_x * x + of_output * output

    def x0_factors(self, level: Level[Scalar]) -> tuple[Scalar, Scalar]:
        """Return (p, q) of ``x0 = p * x_t + q * output``; at alpha = 0, eps and score divide by zero."""
        a, b = self.factors(level)
        determinant = level.alpha * b - level.sigma * a
        return b / determinant, -level.sigma / determinant

    def reading(self, level: Level[float]) -> Reading:
        """Return all that a step asks of it at a level: runs on the same grid ask for the same."""
        plain = type(level.t) is float  # and not an array or a tensor, which are no keys
        reading = self._kept.get(level.numbers) if plain else None
        if reading is None:
            reading = Reading(self.scale(level), self.time(level), *self.x0_factors(level))
            if plain:
                if len(self._kept) >= _KEPT:
                    self._kept.clear()
                self._kept[level.numbers] = reading
        return reading

    def pair(self, output: Tensor, x: Tensor, level: Level[Scalar]) -> tuple[Tensor, Tensor]:
        """Return (x0, eps) that ``output`` stands for, given the noisy item ``x``."""
        a, b = self.factors(level)
        determinant = level.alpha * b - level.sigma * a
        return (b * x - level.sigma * output) / determinant, (level.alpha * output - a * x) / determinant

    def error_gain(self, level: Level[Scalar]) -> Scalar:
        """Return the factor by which an error of the output is one of ``alpha * x0`` (that is, of ``sigma * eps``).

        Its square is the weight that turns a mean squared error of the output into ``alpha**2`` times one of x0.
        """
        a, b = self.factors(level)
        return level.alpha * level.sigma / (level.alpha * b - level.sigma * a)

    def blindness(self, process: CompleteProcess) -> str | None:
        """Return why x0 cannot be told from the output at t = 1 of a process, or None where it can.

        Where alpha(1) = 0, eps and score say nothing of x0; a velocity says nothing where it is infinite or 0.
        """
        (start,) = levels_at(process, torch.ones(1, dtype=torch.float64))
        try:
            factors = self.x0_factors(start)
        except ZeroDivisionError:
            factors = (math.inf, math.inf)
        # No factor of the output at all, or one beyond all precision.
        if factors[1] != 0 and all(abs(factor) < 1e9 for factor in factors):
            return None
        return f"{self.name} cannot tell the clean item at t = 1, where alpha is {start.alpha:.3g}"


EPS = Prediction("eps", lambda level: (0.0 * level.t, 0.0 * level.t + 1.0))
X0 = Prediction("x0", lambda level: (0.0 * level.t + 1.0, 0.0 * level.t))
V = Prediction("v", lambda level: (-level.sigma, level.alpha))
SCORE = Prediction("score", lambda level: (0.0 * level.t, -1.0 / level.sigma))
VELOCITY = Prediction("velocity", lambda level: (level.d_alpha, level.d_sigma))


def edm(sigma_data: float = 0.5) -> Prediction:
    """Return EDM's preconditioning: the network's output F with x0 = c_skip x + c_out F, c_in and c_noise.

    Written with x_t = alpha * x0 + sigma * eps and D = sqrt(sigma**2 + (sigma_data * alpha)**2), so that it also
    holds where alpha = 0: ``F = sigma / (sigma_data * D) * x0 - sigma_data * alpha / D * eps``.

    Args:
        sigma_data: standard deviation of the data.

    Source: Karras et al. 2022, arXiv 2206.00364, table 1 and equation 7.
    """

    def spread(level: Level[Scalar]) -> Scalar:
        return (level.sigma**2 + (sigma_data * level.alpha) ** 2) ** 0.5

    return Prediction(
        "edm",
        factors=lambda level: (
            level.sigma / (sigma_data * spread(level)),
            -sigma_data * level.alpha / spread(level),
        ),
        scale=lambda level: 1 / spread(level),
        time=_c_noise,
    )


def _c_noise(level: Level[Scalar]) -> Scalar:
    """Return log(nsr) / 4, kept within nsr 1e-5 to 1e5 so that the ends of a process stay finite."""
    bound = 23.026  # 2 log(1e5)
    if isinstance(level.log_snr, Tensor):
        return -level.log_snr.clamp(-bound, bound) / 8
    return -min(max(level.log_snr, -bound), bound) / 8
