"""A denoiser that knows a part of the clean items, and holds it."""

from __future__ import annotations

import torch
from torch import Tensor

from .level import Level
from .sampling import Denoise
from .transition import Variance

__all__ = ["Held"]


class Held:
    """Gives what is known of the clean items in the place of what the model takes it to be.

    Every sampler then brings the known part to its place, and the model sees it there, as noisy as the rest, while it
    makes the rest.

    Args:
        denoise: the model.
        x0: the items (batch, \\*item); what they hold where nothing is known does not matter.
        known: where they are known, broadcast to them.
    """

    def __init__(self, denoise: Denoise, x0: Tensor, known: Tensor) -> None:
        self._denoise, self._x0, self._known = denoise, x0, known

    def __call__(self, x: Tensor, level: Level[float]) -> Tensor:
        return torch.where(self._known, self._x0, self._denoise(x, level))

    @property
    def variance(self) -> Variance:
        """That of the model, if it has one."""
        variance: Variance = self._denoise.variance  # type: ignore[attr-defined]
        return variance
