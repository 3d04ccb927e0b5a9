"""A guidance: wraps a denoiser that is told its conditioning into one that needs only (x, level)."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge


class Ramp:
    """Classifier-free guidance that is off at pure noise and grows to ``scale`` at the data.

    Args:
        scale: at t = 0.
    """

    def __init__(self, scale: Annotated[float, Ge(1)] = 3.0) -> None:
        self.scale = scale

    def wrap(self, denoise, cond, null):
        def guided(x, level):
            wanted, plain = denoise(x, level, cond), denoise(x, level, null)
            return plain + (1 + (self.scale - 1) * (1 - level.t)) * (wanted - plain)

        return guided
