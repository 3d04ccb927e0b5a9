"""The angle of a level, in which the probability-flow ODE is the same for every process and smooth to both ends."""

from __future__ import annotations

import math

from torch import Tensor

from .combination import combined, scaled
from .level import Level
from .sampling import Denoise

__all__ = ["Arc", "longest_step"]


class Arc:
    """The ODE between two levels of a process, in ``theta = atan(sigma / alpha)``.

    ``y = x / sqrt(alpha**2 + sigma**2)`` obeys ``dy / dtheta = cos(theta) eps - sin(theta) x0``, where no derivative of
    the process occurs; pure noise stands at pi / 2, data at 0.

    Args:
        here: where the ODE starts.
        next: where it ends.
        denoise: the model.

    Source: Song et al. 2021, arXiv 2011.13456, equation 13, rewritten; Salimans and Ho 2022, arXiv 2202.00512,
    appendix D (the angle).
    """

    def __init__(self, here: Level[float], next: Level[float], denoise: Denoise) -> None:
        self._here, self._next, self._denoise = here, next, denoise
        self.start, self.end = angle(here), angle(next)

    def level(self, theta: float) -> Level[float]:
        """Return the level at an angle above 0."""
        if theta == self.start:
            return self._here
        return self._next if theta == self.end else self._here.at_log_snr(-2 * math.log(math.tan(theta)))

    def x0(self, theta: float, y: Tensor) -> Tensor:
        """Return the clean items (batch, \\*item) that are seen at an angle above 0."""
        level = self.level(theta)
        return self._denoise(scaled(y, math.hypot(level.alpha, level.sigma)), level)

    def slope(self, theta: float, y: Tensor, x0: Tensor | None = None) -> Tensor:
        """Return ``cos(theta) eps - sin(theta) x0`` (batch, \\*item), eps written out; x0 where it is known already."""
        x0 = self.x0(theta, y) if x0 is None else x0
        return combined(y, 1 / math.tan(theta), x0, -1 / math.sin(theta))


def angle(level: Level[float]) -> float:
    """Return atan(sigma / alpha)."""
    return math.atan2(level.sigma, level.alpha)


def longest_step(theta: float) -> float:
    """Return the longest step that an error-controlled method may make from an angle.

    Data may be narrow, and are seen only at angles about their width: a step that passed over these would never know.
    The numbers are by taste: at least four steps for the quarter of a circle, and no more than to a quarter of an angle
    or four times it.
    """
    return min(0.4, 0.75 * theta)
