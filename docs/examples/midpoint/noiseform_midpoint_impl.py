"""The explicit midpoint method."""

from math import atan2, cos, hypot, log, sin, tan


class Midpoint:
    """The explicit midpoint method for the probability-flow ODE, in the angle of a level, ``a = atan(sigma / alpha)``.

    There ``y = x / sqrt(alpha**2 + sigma**2)`` obeys ``dy / da = cos(a) eps - sin(a) x0``, whose right side is finite
    from pure noise (a = pi / 2, where alpha is 0) to data (a = 0, where sigma is 0, and where nothing is asked).

    Order 2, 2 NFE per step, deterministic, keeps no state.

    Source: Runge 1895, Mathematische Annalen 46; Salimans and Ho 2022, arXiv 2202.00512, appendix D (the angle).
    """

    order = 2
    stochastic = False
    nfe_per_step = 2

    def init(self, x):
        return None

    def step(self, x, here, next, denoise, noise, state):
        start, end = (atan2(level.sigma, level.alpha) for level in (here, next))
        half = (start + end) / 2
        middle = here.at_log_snr(-2 * log(tan(half)))
        y = x / hypot(here.alpha, here.sigma)
        x_middle = (y + (half - start) * _slope(y, denoise(x, here), start)) * hypot(middle.alpha, middle.sigma)
        y_middle = x_middle / hypot(middle.alpha, middle.sigma)
        y = y + (end - start) * _slope(y_middle, denoise(x_middle, middle), half)
        return y * hypot(next.alpha, next.sigma), None


def _slope(y, x0, a):
    """Return dy / da: eps is ``(y - cos(a) x0) / sin(a)``."""
    return y / tan(a) - x0 / sin(a)
