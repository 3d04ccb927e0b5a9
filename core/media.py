"""What the core knows of an item of media: the shape of its tensor, the rates of its axes, its range."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

__all__ = ["MediaSpec", "box"]


@dataclass(frozen=True)
class MediaSpec:
    """Shape and units of one item of a modality.

    Attributes:
        shape: ``(channels, *space)``: audio ``(channels, samples)``, image ``(channels, height, width)``,
            video ``(channels, frames, height, width)``.
        rates: for each axis of space how many of its steps make a second (Hz, frames per second), or None.
        low: smallest value of the data range.
        high: largest value of the data range.
    """

    shape: tuple[int, ...]
    rates: tuple[float | None, ...]
    low: float
    high: float

    @property
    def time_axis(self) -> int | None:
        """The axis of space that is time, or None: the first one that has a rate."""
        return next((axis for axis, rate in enumerate(self.rates) if rate), None)

    def times(self, factors: Sequence[int]) -> MediaSpec:
        """Return the same with so many times as many positions along each axis of space."""
        channels, *space = self.shape
        sizes = (size * factor for size, factor in zip(space, factors, strict=True))
        rates = tuple(rate and rate * factor for rate, factor in zip(self.rates, factors, strict=True))
        return replace(self, shape=(channels, *sizes), rates=rates)

    def at_rates(self, rates: tuple[float | None, ...]) -> MediaSpec:
        """Return the same, as long in time, at other rates."""
        channels, *space = self.shape
        sizes = []
        for size, have, want in zip(space, self.rates, rates, strict=True):
            sizes.append(size if have == want or not have or not want else max(1, round(size * want / have)))
        return replace(self, shape=(channels, *sizes), rates=rates)


def box(slices: Iterable[slice]) -> tuple[Any, ...]:
    """Return the index of a part of space, in all items and channels."""
    return (..., *slices)
