"""What the clean item is taken to be between the moments at which a network was asked for it."""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import pairwise

import numpy as np

__all__ = ["weights"]

Numbers = np.ndarray

_NODES, _SHARES = np.polynomial.legendre.leggauss(12)
_JITTER = 1e-12
"""Share of its variance by which a value is taken to be off: nodes that lie very close would not be told apart."""


@lru_cache(maxsize=4096)
def weights(nodes: tuple[float, ...], first: float, last: float) -> tuple[float, ...]:
    """Return w such that ``sum_k w_k x0(nodes_k)`` is the best linear prediction of the path's integral.

    The integral is that of ``x0 / sin(theta)**2`` over theta from ``last`` to ``first``, which is what x / sigma gains
    between the two; where ``last`` is 0, it is x0 at 0.

    Along a trajectory x0 is smooth in the angle ``theta = atan(sigma / alpha)``, and even: for data with a density the
    denoiser depends on sigma by its square. So x0 is taken for a constant, plus a multiple of theta**2, plus a Brownian
    motion integrated twice, all three of unit strength. Its best prediction from values at the nodes is the smoothest
    even curve through them, a quintic spline.

    Args:
        nodes: angles at which x0 is known, falling; above 0, at most pi / 2.
        first: the angle from which to integrate.
        last: the angle up to which; below ``first``.

    Source: Kimeldorf and Wahba 1970 (splines are best linear predictions); Schober et al. 2014, arXiv 1406.2582
    (integrated Brownian motion as the prior of solvers).
    """
    at = np.array(nodes)
    among = _covariance(at[:, None], at[None, :])
    among[np.diag_indices_from(among)] *= 1 + _JITTER
    wanted = _covariance(np.zeros_like(at), at) if last == 0 else _integral(at, first, last)
    return tuple(np.linalg.solve(among, wanted).tolist())


def _covariance(one: Numbers, other: Numbers) -> Numbers:
    """Return the covariance of x0 at two angles: 1 + a**2 b**2 / 4 + that of the Brownian motion, integrated twice."""
    low, high = np.minimum(one, other), np.maximum(one, other)
    integrated = low**3 * (10 * high**2 - 5 * high * low + low**2) / 120
    return 1 + (one * other) ** 2 / 4 + integrated


def _integral(nodes: Numbers, first: float, last: float) -> Numbers:
    """Return the covariances of the integral with the nodes' values, by Gauss' rule between the kinks.

    In log(tan(theta)) the weight d theta / sin(theta)**2 is smooth.
    """
    edges = [first, *(node for node in nodes if last < node < first), last]
    total = np.zeros_like(nodes)
    for high, low in pairwise(edges):
        start, end = math.log(math.tan(high)), math.log(math.tan(low))
        theta = np.arctan(np.exp((start + end) / 2 + (start - end) / 2 * _NODES))
        shares = _SHARES * (start - end) / 2 / np.tan(theta)
        total += shares @ _covariance(theta[:, None], nodes[None, :])
    return total
