"""The explicit midpoint method."""

from math import log


class Midpoint:
    """The explicit midpoint method for the probability-flow ODE in the share of noise, ``u = sigma / (alpha + sigma)``.

    There ``z = x / (alpha + sigma) = (1 - u) x0 + u eps`` obeys ``dz / du = eps - x0 = (z - x0) / u``, whatever the
    process: finite from pure noise (u = 1, where alpha is 0) to data (u = 0, where sigma is 0, and where nothing is
    asked), and a straight line where the data are one point.

    Order 2, 2 NFE per step, deterministic, keeps no state.

    Source: Runge 1895, Mathematische Annalen 46; Liu et al. 2022, arXiv 2209.03003, section 2.1 (the straight line).
    """

    order = 2
    stochastic = False
    nfe_per_step = 2

    def init(self, x):
        return None

    def step(self, x, here, next, denoise, noise, state):
        start, end = (level.sigma / (level.alpha + level.sigma) for level in (here, next))
        half = (start + end) / 2
        middle = here.at_log_snr(2 * log((1 - half) / half))
        z = x / (here.alpha + here.sigma)
        z_middle = z + (half - start) / start * (z - denoise(x, here))
        x0 = denoise(z_middle * (middle.alpha + middle.sigma), middle)
        z = z + (end - start) / half * (z_middle - x0)
        return z * (next.alpha + next.sigma), None
