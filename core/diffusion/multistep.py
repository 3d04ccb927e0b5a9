"""What multistep samplers share: the evaluations of the steps before, and the weights of a polynomial through them.

In lambda, half of log-SNR, the probability-flow ODE has two exact solutions for a step of length h: one where x0 is
known along it, one where eps is,

    x_next = sigma_next / sigma * x + alpha_next * integral of exp(v - h) x0(lambda + v) dv,
    x_next = alpha_next / alpha * x - sigma_next * integral of exp(h - v) eps(lambda + v) dv,    v from 0 to h.

What is integrated is a polynomial through the latest evaluations: a weighted sum of them, with weights of floats.

Source: Lu et al. 2022, arXiv 2206.00927, proposition 3.1 (eps); Lu et al. 2022, arXiv 2211.01095, proposition 4.1 (x0).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from torch import Tensor

from .combination import weighted_sum
from .level import Level

__all__ = ["Seen", "eps_factors", "exponential_weights", "places", "weighted", "x0_factors"]


class Seen(NamedTuple):
    """An evaluation of the denoiser: what came of it, x0 or eps (batch, \\*item), at a level."""

    level: Level[float]
    value: Tensor


def x0_factors(here: Level[float], next: Level[float], nodes: Sequence[Level[float]]) -> list[float]:
    """Return the factors of the x0's of a step ``x_next = sigma_next / sigma_here * x + sum factors * x0``.

    Args:
        here: where the step begins, with sigma above 0.
        next: where it ends.
        nodes: the levels of the x0's, ``here`` or one that stands in for it first. A step from alpha = 0 or to
            sigma = 0, where lambda has no value, takes the first alone, as all steps of one node do.
    """
    gain = next.alpha - next.sigma / here.sigma * here.alpha  # alpha_next (1 - exp(-h)), finite at both ends
    if not math.isfinite(next.log_snr - here.log_snr):
        return [gain]
    h = (next.log_snr - here.log_snr) / 2
    others = [next.alpha * weight for weight in exponential_weights(h, places(here, next, nodes))[1:]]
    return [gain - sum(others), *others]


def eps_factors(here: Level[float], next: Level[float], nodes: Sequence[Level[float]]) -> list[float]:
    """Return the factors of the eps's of a step ``x_next = alpha_next / alpha_here * x + sum factors * eps``.

    Args:
        here: where the step begins, with alpha above 0.
        next: where it ends. At sigma = 0 the first node serves alone.
        nodes: the levels of the eps's, ``here`` first.
    """
    gain = next.sigma - next.alpha / here.alpha * here.sigma  # -sigma_next (exp(h) - 1)
    if not math.isfinite(next.log_snr):
        return [gain]
    h = (next.log_snr - here.log_snr) / 2
    others = [next.sigma * weight for weight in exponential_weights(-h, places(here, next, nodes))[1:]]
    return [gain - sum(others), *others]


def places(here: Level[float], next: Level[float], nodes: Sequence[Level[float]]) -> tuple[float, ...]:
    """Return where in lambda ``nodes`` lie, with ``here`` at 0 and ``next`` at 1, up to one at alpha = 0."""
    length = next.log_snr - here.log_snr
    found = tuple([(node.log_snr - here.log_snr) / length for node in nodes])
    finite = [math.isfinite(place) for place in found]
    return found[: finite.index(False)] if False in finite else found


def weighted(x: Tensor, factor: float, factors: Sequence[float], past: Sequence[Seen]) -> Tensor:
    """Return ``factor * x + sum factors * values``, of as many evaluations as there are factors."""
    return weighted_sum(x, factor, factors, [seen.value for seen in past[: len(factors)]])


@lru_cache(maxsize=4096)  # runs on the same grid ask for the same
def exponential_weights(rate: float, nodes: tuple[float, ...]) -> tuple[float, ...]:
    """Return w with ``sum w_i f(u_i) = integral of rate * exp(rate * (u - 1)) * f(u) du`` from 0 to 1.

    Exact for every polynomial f of a degree below the number of nodes: the integral of the Lagrange polynomials.

    Args:
        rate: of the exponential; not 0.
        nodes: the places u_i, all different.

    Source: Hochbruck and Ostermann 2010, "Exponential integrators", Acta Numerica 19 (exponential multistep methods).
    """
    moments = _moments(rate, len(nodes))
    weights = []
    for place in nodes:
        basis = [1.0]  # the coefficients of the product of (u - other) / (place - other), constant first
        for other in nodes:
            if other != place:
                shifted = zip([0.0, *basis], [*basis, 0.0], strict=True)
                basis = [(higher - other * lower) / (place - other) for higher, lower in shifted]
        weights.append(rate * sum(a * b for a, b in zip(basis, moments, strict=True)))
    return tuple(weights)


def _moments(rate: float, count: int) -> list[float]:
    """Return the integrals of ``exp(rate * (u - 1)) * u**k`` from 0 to 1 for k below ``count``.

    Integration by parts ties neighbours, ``rate * J_{k+1} = 1 - (k + 1) J_k``: upwards that loses digits where the
    rate is small, downwards where it is large.
    """
    if abs(rate) > count:
        moments = [-math.expm1(-rate) / rate]
        while len(moments) < count:
            moments.append((1 - len(moments) * moments[-1]) / rate)
        return moments
    moments = []
    for k in range(count + 24, -1, -1):  # from a 0 whose error has shrunk by rate**24 / (count + 24)! at the last
        moments.append((1 - rate * (moments[-1] if moments else 0.0)) / (k + 1))
    return moments[: -count - 1 : -1]
