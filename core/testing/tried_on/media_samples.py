"""Media that parts are tried on: a sound, a picture and a film, all small, and drawn the same in every run."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ...errors import ConfigError
from ...media import MediaSpec
from ..finding import Finding, holds
from .numbers import normal

__all__ = ["FILM", "PICTURE", "SOUND", "drawn_media", "odd", "taken"]

SOUND = MediaSpec((1, 2048), (8000.0,), -1.0, 1.0)
PICTURE = MediaSpec((3, 16, 16), (None, None), 0.0, 1.0)
FILM = MediaSpec((3, 6, 8, 8), (8.0, None, None), 0.0, 1.0)


def drawn_media(spec: MediaSpec, rows: int = 3, *, purpose: str = "media") -> Tensor:
    """Return media (rows, \\*shape) in float32 within their range: waves of their own for each item, and noise."""
    numbers = math.prod(spec.shape)
    waves = torch.sin(torch.arange(numbers) * (0.05 * (1 + torch.arange(rows).unsqueeze(1))))
    noise = normal(rows, numbers, purpose=purpose).clamp(-3, 3) / 3
    values = (0.6 * waves + 0.3 * noise).reshape(rows, *spec.shape).float()
    return (spec.high + spec.low) / 2 + (spec.high - spec.low) / 2 * values


def odd(spec: MediaSpec) -> Iterator[MediaSpec]:
    """Give the same with odd numbers of positions along each axis, with fewer of them, and with more channels."""
    channels, *space = spec.shape
    yield replace(spec, shape=(channels, *(size + 1 for size in space)))
    yield replace(spec, shape=(channels, *(size - 1 - size // 8 for size in space)))
    yield replace(spec, shape=(channels + 1, *space))


def taken(media: Sequence[MediaSpec], make: Callable[[MediaSpec], object], *, strict: bool = False) -> list[MediaSpec]:
    """Return those of the media that a part does not refuse; where ``strict``, it may not trip over the others.

    Args:
        media: what it is tried on.
        make: makes it for media; raises ConfigError where it refuses them, a Finding where it trips over them.
        strict: whether to hand on such a Finding.
    """
    found, why = [], ""
    for spec in media:
        try:
            make(spec)
        except ConfigError as error:
            why = str(error)
        except Finding as error:
            if strict:
                raise
            why = str(error)
        else:
            found.append(spec)
    holds(found, f"it takes none of the media that the suite tries; say in the suite's `media` what it takes: {why}")
    return found
