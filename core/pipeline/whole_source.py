"""What whole items are made from, of which tiles are seen at the resolution of what is made."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..errors import ConfigError
from ..media import MediaSpec, box
from .running import Result
from .source import Resample

__all__ = ["Taken", "WholeSource"]

_MARGIN = 16  # positions of a source beside a tile that its resampling may look at


@dataclass(frozen=True)
class Taken:
    """What a stage takes as its source.

    Attributes:
        spec: shape and rates of the source of one window.
        factors: how many times as many positions the stage makes of it along each axis.
        units: tiles begin at multiples of these.
        whole: whether it takes the source as one, as an embedding, and makes an item of its own shape of it.
        free: for each axis of space whether the source may have any rate along it, which is then that of what is made.
    """

    spec: MediaSpec
    factors: tuple[int, ...]
    units: tuple[int, ...]
    whole: bool = False
    free: tuple[bool, ...] = ()

    def rates(self, given: MediaSpec) -> tuple[float | None, ...]:
        """Return the rates to which a source is brought first."""
        free = self.free or (False,) * len(given.rates)
        along = zip(free, given.rates, self.spec.rates, strict=True)
        return tuple(have if is_free else wanted for is_free, have, wanted in along)


class WholeSource:
    """The source of whole items, of which tiles are seen at the resolution of what is made from it."""

    def __init__(
        self, before: Result, taken: Taken, whole: tuple[int, ...], resample: Resample | None, where: str
    ) -> None:
        self._before, self.taken, self.resample, self._where = before, taken, resample, where
        self._sizes = tuple(size // factor for size, factor in zip(whole, taken.factors, strict=True))
        self._media: Tensor | None = None
        self.codec = before.codec

    @property
    def media(self) -> Tensor:
        """The source (items, channels, \\*space) at its own resolution, large enough for the tiles."""
        if self._media is None:
            given, media = self._before.spec, self._before.media
            wanted = given.at_rates(self.taken.rates(given))
            if wanted != given:
                media = self._resampled(media, given, wanted)
            short = [size - have for size, have in zip(self._sizes, media.shape[2:], strict=True)]
            self._media = _padded(media, short)
        return self._media

    def whole(self, row: int) -> Tensor:
        """Return all that there is of an item, as it is (channels, \\*space)."""
        return self._before.media[row]

    def at(self, row: int, start: Sequence[int], window: Sequence[int]) -> Tensor:
        """Return what there is of an item's tile, resampled to its resolution (channels, \\*window)."""
        return self.seen(start, window)[row]

    def seen(self, start: Sequence[int], window: Sequence[int]) -> Tensor:
        """Return the tiles of all items (items, channels, \\*window)."""
        factors = self.taken.factors
        if math.prod(factors) == 1:
            return self.part(start, window)
        outer, inner = [], []
        for begin, size, factor, have in zip(start, window, factors, self._sizes, strict=True):
            first = max(0, begin // factor - _MARGIN)
            last = min(have, (begin + size) // factor + _MARGIN)
            outer.append(slice(first, last))
            inner.append(slice(begin - first * factor, begin - first * factor + size))
        some = self.media[box(outer)]
        spec = replace(self.taken.spec, shape=tuple(some.shape[1:]))
        return self._resampled(some, spec, spec.times(factors))[box(inner)]

    def part_at(self, row: int, start: Sequence[int], window: Sequence[int]) -> Tensor:
        """Return what there is of an item's tile, as it is (channels, \\*window / factors)."""
        return self.part(start, window)[row]

    def part(self, start: Sequence[int], window: Sequence[int]) -> Tensor:
        """Return what there is of the tiles of all items, as it is (items, channels, \\*window / factors)."""
        along = zip(start, window, self.taken.factors, strict=True)
        return self.media[box(slice(begin // by, (begin + size) // by) for begin, size, by in along)]

    def latent_at(self, row: int, start: Sequence[int], window: Sequence[int]) -> Tensor | None:
        """Return what the stage before made of an item's tile; None where its positions are not the item's.

        A latent may have axes before those of the item, such as the bins of a spectrogram.
        """
        latent, shape = self._before.latent, self._before.spec.shape[1:]
        if latent is not None and latent.ndim == 2:  # an embedding, which is that of the whole
            return latent[row]
        if latent is None or latent.ndim - 2 < len(shape) or math.prod(self.taken.factors) > 1:
            return None
        own = latent.shape[-len(shape) :]
        # A codec may round up: the last position of a latent then stands for less than the others.
        ratio = [-(-size // have) for size, have in zip(shape, own, strict=True)]
        fits = all(-(-size // by) == have for size, by, have in zip(shape, ratio, own, strict=True))
        if not fits or any(begin % by or size % by for begin, size, by in zip(start, window, ratio, strict=True)):
            return None
        sizes = (-(-size // by) for size, by in zip(self._sizes, ratio, strict=True))
        short = [size - have for size, have in zip(sizes, own, strict=True)]
        whole = _padded(latent[row : row + 1], [0] * (latent.ndim - 2 - len(shape)) + short)[0]
        for axis, begin, size, by in zip(range(-len(shape), 0), start, window, ratio, strict=True):
            whole = whole.narrow(axis, begin // by, (begin + size) // by - begin // by)
        return whole

    def _resampled(self, media: Tensor, given: MediaSpec, wanted: MediaSpec) -> Tensor:
        if self.resample is None:
            raise ConfigError(f"{self._where}: this modality cannot resample its media; use a stage with factor = 1")
        return self.resample(media.to("cpu", torch.float32), given, wanted).clamp(wanted.low, wanted.high)


def _padded(x: Tensor, short: Sequence[int]) -> Tensor:
    """Return x (items, channels, \\*space) with its last position along each axis again as often as it is short."""
    for axis, count in enumerate(short, start=2):
        if count > 0:
            last = x.narrow(axis, x.shape[axis] - 1, 1)
            x = torch.cat([x, last.expand(*x.shape[:axis], count, *x.shape[axis + 1 :])], axis)
    return x
