"""The medium itself, scaled, and companded if asked."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import Annotated

import torch
from annotated_types import Ge, Gt
from torch import Tensor

from ...core.media import MediaSpec

__all__ = ["Identity"]


@dataclass(frozen=True)
class Identity:
    """The samples or pixels, brought to [-1, 1] and multiplied by ``scale``.

    Args:
        scale: 1 / the standard deviation of the data gives the unit variance that samplers and objectives expect.
        companding: mu of the mu-law that is applied first, which lifts quiet samples: ``sign(x) log(1 + mu |x|) /
            log(1 + mu)``. 0 is none; 255 is telephony's.

    Source: ITU-T recommendation G.711 (the continuous law).
    """

    scale: Annotated[float, Gt(0)] = 1.0
    companding: Annotated[float, Ge(0)] = 0.0
    _: KW_ONLY
    media: MediaSpec

    def shape(self, media_shape: tuple[int, ...]) -> tuple[int, ...]:
        return media_shape

    def encode(self, media: Tensor) -> Tensor:
        """Return (batch, channels, \\*space) for media of that shape."""
        centre, half = self._range
        x = (media - centre) / half
        if self.companding:
            x = torch.sign(x) * torch.log1p(self.companding * x.abs()) / math.log1p(self.companding)
        return x * self.scale

    def decode(self, latent: Tensor, media_shape: tuple[int, ...]) -> Tensor:
        """Return media (batch, \\*media_shape), held to their range."""
        centre, half = self._range
        x = (latent / self.scale).clamp(-1, 1)
        if self.companding:
            x = torch.sign(x) * torch.expm1(x.abs() * math.log1p(self.companding)) / self.companding
        return x * half + centre

    @property
    def _range(self) -> tuple[float, float]:
        return (self.media.high + self.media.low) / 2, (self.media.high - self.media.low) / 2
