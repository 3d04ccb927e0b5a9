"""What the clean item is taken to be between the moments at which a network was asked for it."""

from __future__ import annotations

import math
from contextlib import suppress
from functools import lru_cache
from itertools import pairwise

import numpy as np

__all__ = ["INTEGRATIONS", "foretelling", "weights"]

Numbers = np.ndarray

INTEGRATIONS = (1, 2, 3)
"""How smooth x0 may be taken to be."""

_NODES, _SHARES = np.polynomial.legendre.leggauss(12)
_NEAR = 0.1
"""Spans from 0 below which x0's derivatives at the lowest angle are known so well that their inverse would lose digits,
and they are added to the motion's part."""

_ALIKE = 1e-9
"""Shares of the span that angles lie apart at least, for their weights to be told apart."""

_ORDERS = np.arange(1.0, len(INTEGRATIONS) + 1)
_FACTORIALS = np.array([math.factorial(j) for j in range(len(INTEGRATIONS) + 1)], dtype=float)

_AMPLIFIED = 4.0
"""By how much errors of x0 may grow: where a step reaches far beyond nodes that lie close together, the older of them
are left out until they grow by no more. On equal steps of the angle it is 3.4 at most."""


@lru_cache(maxsize=4096)
def weights(nodes: tuple[float, ...], first: float, last: float, integrations: int = 2) -> tuple[float, ...]:
    """Return w such that ``sum_k w_k x0(nodes_k)`` is the best linear prediction of the path's integral.

    The integral is that of ``x0 / sin(theta)**2`` over theta from ``last`` to ``first``, which is what x / sigma gains
    between the two; where ``last`` is 0, it is x0 at 0.

    Along a trajectory x0 is smooth in the angle ``theta = atan(sigma / alpha)``, and even: for data with a density the
    denoiser depends on sigma by its square. So x0 is taken for an unknown constant, plus a multiple of theta**2, plus a
    Brownian motion integrated twice, these two of unit strength. Its best prediction from values at the nodes is the
    smoothest even curve through them, a quintic spline. Integrated once, without theta**2, it is a cubic one; three
    times, a septic one.

    Args:
        nodes: angles at which x0 is known, falling; above 0, at most pi / 2.
        first: the angle from which to integrate.
        last: the angle up to which; below ``first``.
        integrations: of the Brownian motion, 1 to 3.

    Source: Kimeldorf and Wahba 1970 (splines are best linear predictions); Matheron 1963 (with an unknown mean);
    Schober et al. 2014, arXiv 1406.2582
    (integrated Brownian motion as the prior of solvers).
    """
    for kept in range(len(nodes), 0, -1):
        solved = _solved(np.array(nodes[-kept:]), first, last, integrations)
        if np.abs(solved).sum() <= _AMPLIFIED * abs(solved.sum()):
            break
    return (0.0,) * (len(nodes) - kept) + tuple(solved.tolist())


@lru_cache(maxsize=4096)
def foretelling(nodes: tuple[float, ...], angle: float, integrations: int) -> tuple[float, ...]:
    """Return w such that ``sum_k w_k x0(nodes_k)`` is the same curve's x0 at an angle below the nodes."""
    return tuple(_value_at(np.array(nodes), angle, integrations).tolist())


def _solved(nodes: Numbers, first: float, last: float, integrations: int) -> Numbers:
    if last == 0:
        return _value_at(nodes, 0.0, integrations)
    whole = 1 / math.tan(last) - 1 / math.tan(first)
    return _predicting(nodes, *_quadrature(nodes, first, last), whole, integrations, (first, last))


def _value_at(nodes: Numbers, angle: float, integrations: int) -> Numbers:
    return _predicting(nodes, np.array([angle]), np.ones(1), 1.0, integrations, (angle, angle))


def _predicting(
    nodes: Numbers, places: Numbers, shares: Numbers, whole: float, integrations: int, within: tuple[float, float]
) -> Numbers:
    """Return the weights of x0 at the nodes in the best prediction of ``sum shares * x0(places)``; their sum is whole.

    From the lowest of all angles on, x0 is its derivatives there, of which is known what they are of a Brownian motion
    so many times integrated up to there, and such a motion that begins anew. What the two say of values that lie close
    together differs by so many orders of magnitude that their sum would lose it; so they stand side by side in one
    system of equations, in units of the span between all angles.

    Args:
        nodes: angles at which x0 is known, falling.
        places: other angles.
        shares: of x0 at each of them.
        whole: sum of the shares.
        integrations: of the Brownian motion.
        within: two angles that the places lie between, the higher first.
    """
    base, count = min(float(nodes[-1]), within[1]), len(nodes)
    span = max(float(nodes[0]), within[0]) - base
    angles = (np.concatenate([nodes, places]) - base) / span
    covariance, powers = _covariance(angles[:count, None], angles, integrations), _powers(angles, integrations)
    among, wanted = covariance[:, :count], covariance[:, count:] @ shares
    slopes, slopes_wanted = powers[:count], shares @ powers[count:]
    spread = _derivatives(base / span, span, integrations)
    beside = 0 if base < _NEAR * span else integrations
    bordered, right = np.zeros((count + beside + 1,) * 2), np.zeros(count + beside + 1)
    bordered[:count, -1] = bordered[-1, :count] = 1
    if beside:  # the derivatives' rows are multiplied by their covariance, which needs no inverse of it
        variances = spread.diagonal()
        relative = spread / variances[:, None]
        bordered[count:-1, :count], right[count:-1] = relative @ slopes.T, relative @ slopes_wanted
        bordered[:count, count:-1] = slopes * variances
        bordered[count:-1, count:-1].flat[:: beside + 1] = -1
    else:
        among = among + slopes @ spread @ slopes.T
        wanted += slopes @ (spread @ slopes_wanted)
    bordered[:count, :count], right[:count], right[-1] = among, wanted, whole
    # Of the constant nothing is known before: whatever it is, the weights must reproduce it.
    weights: Numbers = _solution(bordered, right, angles[:count])[:count]
    return weights * (whole / weights.sum())


def _solution(system: Numbers, right: Numbers, angles: Numbers) -> Numbers:
    """Return what solves the equations; angles that float64 cannot tell apart share a weight."""
    if len(angles) == 1 or (angles[:-1] - angles[1:]).min() > _ALIKE:
        with suppress(np.linalg.LinAlgError):
            return np.linalg.solve(system, right)
    solved: Numbers = np.linalg.lstsq(system, right, rcond=None)[0]
    return solved


def _covariance(one: Numbers, other: Numbers, integrations: int) -> Numbers:
    """Return the covariance at two places of a Brownian motion from 0 on, so many times integrated."""
    low, gap = np.minimum(one, other), np.abs(one - other)
    made: Numbers
    if integrations == 1:
        made = low**2 * (2 * low + 3 * gap) / 6
    elif integrations == 2:
        made = low**3 * (6 * low**2 + 15 * low * gap + 10 * gap**2) / 120
    else:
        made = low**4 * (low**3 / 7 + low**2 * gap / 2 + low * gap**2 * 3 / 5 + gap**3 / 4) / 36
    return made


def _powers(angles: Numbers, integrations: int) -> Numbers:
    """Return ``a**j / j!`` for each angle, j from 1 to ``integrations``."""
    made: Numbers = angles[:, None] ** _ORDERS[:integrations] / _FACTORIALS[1 : integrations + 1]
    return made


def _derivatives(base: float, span: float, integrations: int) -> Numbers:
    """Return the covariance of x0's derivatives at an angle, from the first on: of theta**2 / 2 and the motion so far.

    In units of the span, and of the standard deviation that the motion gains in it.

    Args:
        base: the angle, in units of the span.
        span: the unit.
        integrations: of the motion.
    """
    left = integrations - _ORDERS[:integrations]
    powers, gains = left[:, None] + left + 1, _FACTORIALS[integrations - 1 :: -1]
    made: Numbers = base**powers / (powers * gains[:, None] * gains)
    if integrations > 1:
        parabola = np.array([base, 1.0, 0.0])[:integrations] * span ** (1.5 - integrations)
        made += parabola[:, None] * parabola
    return made


def _quadrature(nodes: Numbers, first: float, last: float) -> tuple[Numbers, Numbers]:
    """Return places and shares of the integral of ``x0 / sin(theta)**2``, by Gauss' rule between the kinks.

    In log(tan(theta)) the weight d theta / sin(theta)**2 is smooth.
    """
    edges = [first, *(node for node in nodes if last < node < first), last]
    places, shares = [], []
    for high, low in pairwise(edges):
        start, end = math.log(math.tan(high)), math.log(math.tan(low))
        theta = np.arctan(np.exp((start + end) / 2 + (start - end) / 2 * _NODES))
        places.append(theta)
        shares.append(_SHARES * (start - end) / 2 / np.tan(theta))
    return np.concatenate(places), np.concatenate(shares)
