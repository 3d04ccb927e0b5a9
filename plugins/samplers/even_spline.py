"""What the clean item is taken to be between the moments at which a network was asked for it."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise

import numpy as np

__all__ = ["weights"]

Numbers = np.ndarray
Covariance = Callable[[Numbers, Numbers], Numbers]

_NODES, _SHARES = np.polynomial.legendre.leggauss(12)
_JITTER = 1e-15
"""Share of its variance by which a value is taken to be off: nodes that lie very close would not be told apart."""

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


def _solved(nodes: Numbers, first: float, last: float, integrations: int) -> Numbers:
    covariance = _COVARIANCES[integrations]
    among = covariance(nodes[:, None], nodes[None, :])
    among[np.diag_indices_from(among)] *= 1 + _JITTER
    if last == 0:
        wanted, whole = np.zeros_like(nodes), 1.0
    else:
        wanted, whole = _integral(covariance, nodes, first, last), 1 / math.tan(last) - 1 / math.tan(first)
    # Of the constant nothing is known before: whatever it is, the weights must reproduce it.
    ones = np.ones((len(nodes), 1))
    bordered = np.block([[among, ones], [ones.T, np.zeros((1, 1))]])
    # Angles that float64 cannot tell apart share a weight.
    solved, *_ = np.linalg.lstsq(bordered, np.append(wanted, whole), rcond=None)
    weights: Numbers = solved[:-1]
    return weights * (whole / weights.sum())


def _covariance_of_cubic(one: Numbers, other: Numbers) -> Numbers:
    """Return the covariance of x0 at two angles, beside the constant: that of a Brownian motion integrated once."""
    low, high = np.minimum(one, other), np.maximum(one, other)
    return low**2 * (3 * high - low) / 6


def _covariance_of_quintic(one: Numbers, other: Numbers) -> Numbers:
    """Return the same: a**2 b**2 / 4, and that of a Brownian motion integrated twice."""
    low, high = np.minimum(one, other), np.maximum(one, other)
    integrated = low**3 * (10 * high**2 - 5 * high * low + low**2) / 120
    return (one * other) ** 2 / 4 + integrated


def _covariance_of_septic(one: Numbers, other: Numbers) -> Numbers:
    """Return the same: a**2 b**2 / 4, and that of a Brownian motion integrated three times."""
    low, gap = np.minimum(one, other), np.abs(one - other)
    integrated = low**4 * (low**3 / 7 + low**2 * gap / 2 + low * gap**2 * 3 / 5 + gap**3 / 4) / 36
    return (one * other) ** 2 / 4 + integrated


_COVARIANCES = {1: _covariance_of_cubic, 2: _covariance_of_quintic, 3: _covariance_of_septic}


def _integral(covariance: Covariance, nodes: Numbers, first: float, last: float) -> Numbers:
    """Return the covariances of the integral with the nodes' values, by Gauss' rule between the kinks.

    In log(tan(theta)) the weight d theta / sin(theta)**2 is smooth.
    """
    edges = [first, *(node for node in nodes if last < node < first), last]
    total = np.zeros_like(nodes)
    for high, low in pairwise(edges):
        start, end = math.log(math.tan(high)), math.log(math.tan(low))
        theta = np.arctan(np.exp((start + end) / 2 + (start - end) / 2 * _NODES))
        shares = _SHARES * (start - end) / 2 / np.tan(theta)
        total += shares @ covariance(theta[:, None], nodes[None, :])
    return total
