"""Processes that are wrong in one way each, of the straight line and of a quarter turn."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from .mutant import Mutant

__all__ = ["MUTANTS"]


class Line:
    """The straight line from data to noise, in two functions: an original."""

    def alpha(self, t: Tensor) -> Tensor:
        return 1 - t

    def sigma(self, t: Tensor) -> Tensor:
        return 1 * t


class Shortest(Line):
    """The same, which gives its times themselves back: an original."""

    def sigma(self, t: Tensor) -> Tensor:
        return t


class Turn:
    """A quarter turn, with everything that a process may bring: an original."""

    def alpha(self, t: Tensor) -> Tensor:
        return torch.cos(math.pi / 2 * t)

    def sigma(self, t: Tensor) -> Tensor:
        return torch.sin(math.pi / 2 * t)

    def d_alpha(self, t: Tensor) -> Tensor:
        return -math.pi / 2 * self.sigma(t)

    def d_sigma(self, t: Tensor) -> Tensor:
        return math.pi / 2 * self.alpha(t)

    def log_snr(self, t: Tensor) -> Tensor:
        return -2 * torch.log(torch.tan(math.pi / 2 * t))

    def t_of_log_snr(self, log_snr: Tensor) -> Tensor:
        return 2 / math.pi * torch.atan(torch.exp(-log_snr / 2))


class _Rounds(Line):
    def sigma(self, t):  # type: ignore[no-untyped-def]
        return t.float()


class _OneAxis(Line):
    def sigma(self, t):  # type: ignore[no-untyped-def]
        return t.flatten() * 1


class _Numbers(Line):
    def alpha(self, t):  # type: ignore[no-untyped-def]
        return 1.0 - t.mean().item()


class _NoisyData(Line):
    def sigma(self, t):  # type: ignore[no-untyped-def]
        return 0.01 + 0.99 * t


class _PaleData(Line):
    def alpha(self, t):  # type: ignore[no-untyped-def]
        return 0.99 * (1 - t)


class _Reversed(Line):
    """Has its data at t = 1, as papers on flows do."""

    alpha, sigma = Line.sigma, Line.alpha


class _StandsStill(Line):
    """Loses nothing between 0.6 and 0.602."""

    def alpha(self, t):  # type: ignore[no-untyped-def]
        return 1 - self.sigma(t)  # type: ignore[no-untyped-call]

    def sigma(self, t):  # type: ignore[no-untyped-def]
        return torch.where(t < 0.6, 1.2 * t, torch.where(t < 0.602, 0.72, 1 - (1 - t) * 0.28 / 0.398))


class _Ripples(Line):
    """Gains signal back, now and then."""

    def sigma(self, t):  # type: ignore[no-untyped-def]
        return t + 0.01 * torch.sin(1000 * t) * t * (1 - t)


class _LetsGo(Line):
    """Has less noise again near t = 1, and hardly less data."""

    def alpha(self, t):  # type: ignore[no-untyped-def]
        return 1 - 0.3 * t

    def sigma(self, t):  # type: ignore[no-untyped-def]
        return t * (1.5 - t)


class _RootOfLess(Line):
    """Takes the root of a number that rounding, or a constant, brings below 0."""

    def alpha(self, t):  # type: ignore[no-untyped-def]
        return torch.sqrt(1 - 1.001 * t**2)


class _HalfTheSlope(Turn):
    def d_alpha(self, t):  # type: ignore[no-untyped-def]
        return super().d_alpha(t) / 2


class _SlopeOfTheSquare(Turn):
    """Gives the derivative of sigma**2."""

    def d_sigma(self, t):  # type: ignore[no-untyped-def]
        return 2 * self.sigma(t) * super().d_sigma(t)


class _LeavesTorch(Line):
    """Is computed by numpy, so that autograd sees a constant."""

    def sigma(self, t):  # type: ignore[no-untyped-def]
        return torch.from_numpy(np.array(t.detach().numpy()))


class _HalfLogSNR(Turn):
    """Calls lambda of DPM-Solver log_snr, and so does its inverse."""

    def log_snr(self, t):  # type: ignore[no-untyped-def]
        return super().log_snr(t) / 2

    def t_of_log_snr(self, log_snr):  # type: ignore[no-untyped-def]
        return super().t_of_log_snr(2 * log_snr)


class _InverseOfHalf(Turn):
    def t_of_log_snr(self, log_snr):  # type: ignore[no-untyped-def]
        return super().t_of_log_snr(2 * log_snr)


class _InverseOfSigma(Turn):
    """Takes what the ratio of the variances is for the ratio of the deviations."""

    def t_of_log_snr(self, log_snr):  # type: ignore[no-untyped-def]
        return 2 / math.pi * torch.atan(torch.exp(-log_snr))


class _LostBeyond(Turn):
    """Has no answer to a log-SNR of minus infinity."""

    def t_of_log_snr(self, log_snr):  # type: ignore[no-untyped-def]
        nsr = torch.exp(-log_snr / 2)
        return 2 / math.pi * torch.atan2(nsr / (1 + nsr), 1 / (1 + nsr))


class _LooksAtOthers(Line):
    """Takes the largest of the times for the end."""

    def sigma(self, t):  # type: ignore[no-untyped-def]
        return t / t.max().clamp(min=0.9) if t.numel() > 1 else 1 * t


class _WritesIntoT(Line):
    def alpha(self, t):  # type: ignore[no-untyped-def]
        return t.detach().neg_().add_(1) if not t.requires_grad else 1 - t


class _RemembersItsAnswer(Line):
    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], Tensor] = {}

    def sigma(self, t):  # type: ignore[no-untyped-def]
        return self._known.setdefault((str(t.tolist()), str(t.requires_grad)), 1 * t)


class _IsTrained(Line):
    """Has a power that waits for a gradient."""

    def __init__(self) -> None:
        self.power = torch.nn.Parameter(torch.ones((), dtype=torch.float64))

    def sigma(self, t):  # type: ignore[no-untyped-def]
        return t**self.power


class _Jitters(Line):
    def sigma(self, t):  # type: ignore[no-untyped-def]
        return t + 1e-12 * torch.rand_like(t) * t


class _DiffersByObject(Line):
    """Draws its schedule when it is made."""

    def __init__(self) -> None:
        self.power = 1 + 0.1 * np.random.default_rng().random()

    def sigma(self, t):  # type: ignore[no-untyped-def]
        return t**self.power


class _LengthOfTime(Line):
    """Says that its time is 1.0 long, which grids take for a table."""

    length = 1.0


class _IgnoresItsPower(Line):
    def __init__(self, power: float | None = None) -> None:
        self.power = power


MUTANTS = (
    Mutant("the original: a straight line", Line, None),
    Mutant("the original: a straight line that gives its times back", Shortest, None),
    Mutant("the original: a quarter turn", Turn, None),
    Mutant("works in float32", _Rounds, "test_keeps_shape_and_float64"),
    Mutant("forgets the axes of its times", _OneAxis, "test_keeps_shape_and_float64"),
    Mutant("returns a number", _Numbers, "test_keeps_shape_and_float64"),
    Mutant("has noise in its data", _NoisyData, "test_starts_at_clean_data"),
    Mutant("has pale data", _PaleData, "test_starts_at_clean_data"),
    Mutant("runs from noise to data", _Reversed, "test_starts_at_clean_data"),
    Mutant("stands still for a while", _StandsStill, "test_signal_to_noise_falls"),
    Mutant("gains signal back", _Ripples, "test_signal_to_noise_falls"),
    Mutant("lets go of the noise at the end", _LetsGo, "test_signal_to_noise_falls_between_any_two"),
    Mutant("takes the root of less than nothing", _RootOfLess, "test_is_finite_inside"),
    Mutant("has half the derivative of alpha", _HalfTheSlope, "test_derivatives_are_those_of_alpha_and_sigma"),
    Mutant(
        "has the derivative of the variance", _SlopeOfTheSquare, "test_moments_are_those_of_its_stochastic_equation"
    ),
    Mutant("is none that autograd can follow", _LeavesTorch, "test_derivatives_are_those_of_alpha_and_sigma"),
    Mutant("gives half of log-SNR", _HalfLogSNR, "test_log_snr_is_that_of_alpha_and_sigma"),
    Mutant("inverts twice the log-SNR", _InverseOfHalf, "test_time_is_the_inverse_of_log_snr"),
    Mutant("inverts the ratio of variances", _InverseOfSigma, "test_time_is_the_inverse_of_log_snr"),
    Mutant("loses itself beyond its ends", _LostBeyond, "test_time_of_a_log_snr_beyond_the_ends"),
    Mutant("lets its times mix", _LooksAtOthers, "test_a_time_does_not_depend_on_the_others"),
    Mutant("writes into its times", _WritesIntoT, "test_leaves_its_inputs_alone"),
    Mutant("keeps what it has given away", _RemembersItsAnswer, "test_leaves_its_inputs_alone"),
    Mutant("waits for a gradient", _IsTrained, "test_needs_no_gradients"),
    Mutant("draws from the global generator", _Jitters, "test_is_deterministic"),
    Mutant("is another one each time it is made", _DiffersByObject, "test_is_deterministic"),
    Mutant("ignores its parameter", _IgnoresItsPower, "test_numbers_change_something"),
    Mutant("has a length that is no table's", _LengthOfTime, "test_length_is_that_of_a_table"),
)
