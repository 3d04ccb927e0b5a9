"""What a stage is made from, as its conditioners see it: the result of the stage before it, or what a user gives."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import ConfigError
from ..media import MediaSpec
from ..registration.config import PartConfig

__all__ = ["SOURCE", "Items", "Resample", "Source", "factors_of", "reduced", "shrunk"]

SOURCE = "source"
"""The key under which conditions hold a :class:`Source`, and which a conditioner that takes one names in ``takes``."""

Resample = Callable[[Tensor, MediaSpec, MediaSpec], Tensor]
"""Brings media (batch, channels, \\*space) from one shape and rates to others, as a modality does it."""


@dataclass(frozen=True)
class Source:
    """What an item is made from, in the place and at the resolution of what is being made.

    Attributes:
        media: the source resampled to the item's own shape (channels, \\*space), in the range of media.
        normal: standard normal numbers of a shape, keyed by the item, for noise-conditioning augmentation.
        latent: the latent that the stage before it made there (channels, \\*space), where it did; one without axes of
            space is that of the whole.
        codec: the codec of that latent.
        whole: all of the source as it was made or given (channels, \\*space), whatever the place.
        part: what of the source stands in this place, at its own resolution (channels, \\*space).
        resample: of its modality; None where it has none.
    """

    media: Callable[[], Tensor]
    normal: Callable[[Sequence[int]], Tensor]
    latent: Tensor | None = None
    codec: PartConfig | None = None
    whole: Callable[[], Tensor] | None = None
    part: Callable[[], Tensor] | None = None
    resample: Resample | None = None

    def latent_of(self, codec: PartConfig, free: Sequence[str] = ()) -> Tensor | None:
        """Return the latent that the stage before made, if it is what a codec would make of the media; else None.

        Args:
            codec: its table.
            free: parameters of such codecs that change only how they decode.
        """

        def told(table: PartConfig) -> tuple[object, ...]:
            return table.use, {name: value for name, value in table.params.items() if name not in free}

        if self.latent is None or self.codec is None or told(self.codec) != told(codec):
            return None
        return self.latent.to("cpu", torch.float32)


@dataclass(frozen=True)
class Items:
    """Items of training data, of which a conditioner shows the network something.

    Attributes:
        x0: their latents (batch, channels, \\*space).
        media: the items themselves (batch, channels, \\*space).
        u: numbers in [0, 1) (batch, 4), to draw from what is shown.
        normal: standard normal numbers (batch, \\*shape) of a shape.
        resample: of their modality; None where it has none.
        spec: of the media.
    """

    x0: Tensor
    media: Tensor
    u: Tensor
    normal: Callable[[tuple[int, ...]], Tensor]
    spec: MediaSpec
    resample: Resample | None = None


def factors_of(factor: int | Sequence[int], rank: int, *, of: str) -> tuple[int, ...]:
    """Return how many times as many positions there will be along each axis of space.

    Raises:
        ConfigError: there are more or fewer of them than axes.
    """
    factors = (factor,) * rank if isinstance(factor, int) else tuple(factor)
    if len(factors) != rank:
        raise ConfigError(f"{of}: factor: items have {rank} axes of space, got {list(factors)}; give one for each")
    return factors


def reduced(spec: MediaSpec, factors: Sequence[int], *, of: str) -> MediaSpec:
    """Return the shape and rates of what has fewer positions by ``factors``.

    Raises:
        ConfigError: a size is no multiple of its factor.
    """
    channels, *space = spec.shape
    for size, factor in zip(space, factors, strict=True):
        if size % factor:
            raise ConfigError(f"{of}: factor: {size} positions are no multiple of {factor}; change the size in [media]")
    sizes = (size // factor for size, factor in zip(space, factors, strict=True))
    rates = tuple(rate and rate / factor for rate, factor in zip(spec.rates, factors, strict=True))
    return MediaSpec((channels, *sizes), rates, spec.low, spec.high)


def shrunk(media: Tensor, spec: MediaSpec, factors: Sequence[int], resample: Resample | None, *, of: str) -> Tensor:
    """Return media (batch, channels, \\*space) with fewer positions by ``factors``.

    Raises:
        ConfigError: their modality cannot resample, or a size is no multiple of its factor.
    """
    if math.prod(factors) == 1:
        return media
    if resample is None:
        raise ConfigError(f"{of}: this modality cannot resample its media; use factor = 1")
    return resample(media, spec, reduced(spec, factors, of=of)).clamp(spec.low, spec.high)
