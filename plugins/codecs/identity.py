"""The medium itself, scaled, and companded or emphasised if asked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Gt, Le
from torch import Tensor
from torch.nn import functional

from ...core.media import MediaSpec

__all__ = ["Identity"]


@dataclass(frozen=True)
class Identity:
    """The samples or pixels, brought to [-1, 1] and multiplied by ``scale``.

    Args:
        scale: 1 / the standard deviation of the data gives the unit variance that samplers and objectives expect.
        companding: mu of the mu-law that is applied first, which lifts quiet samples: ``sign(x) log(1 + mu |x|) /
            log(1 + mu)``. 0 is none; 255 is telephony's.
        emphasis: a of the filter ``y[n] = x[n] - a x[n - 1]`` along the last axis that comes before the scale: it lifts
            the high frequencies of sound, which are weak. 0 is none; speech coders take about 0.9.

    Source: ITU-T recommendation G.711 (the continuous law); Rabiner and Schafer 1978, section 8.1 (emphasis).
    """

    scale: Annotated[float, Gt(0)] = 1.0
    companding: Annotated[float, Ge(0)] = 0.0
    emphasis: Annotated[float, Ge(0), Le(0.99)] = 0.0
    _: KW_ONLY
    media: MediaSpec
    claims: ClassVar[Mapping[str, object]] = {"declared_error": 1e-6}

    def shape(self, media_shape: tuple[int, ...]) -> tuple[int, ...]:
        return media_shape

    def encode(self, media: Tensor) -> Tensor:
        """Return (batch, channels, \\*space) for media of that shape."""
        centre, half = self._range
        x = (media - centre) / half
        if self.companding:
            x = torch.sign(x) * torch.log1p(self.companding * x.abs()) / math.log1p(self.companding)
        if self.emphasis:
            x = x - self.emphasis * functional.pad(x, (1, 0))[..., :-1]
        return x * self.scale

    def decode(self, latent: Tensor, media_shape: tuple[int, ...]) -> Tensor:
        """Return media (batch, \\*media_shape), held to their range."""
        centre, half = self._range
        x = latent / self.scale
        if self.emphasis:
            x = self._deemphasised(x)
        x = x.clamp(-1, 1)
        if self.companding:
            x = torch.sign(x) * torch.expm1(x.abs() * math.log1p(self.companding)) / self.companding
        return x * half + centre

    def _deemphasised(self, x: Tensor) -> Tensor:
        """Return ``sum of a**k y[n - k]``, which undoes the emphasis; what is left out lies under 1e-8."""
        taps = min(x.shape[-1], math.ceil(math.log(1e-8) / math.log(self.emphasis)))
        kernel = (self.emphasis ** torch.arange(taps - 1, -1, -1, dtype=torch.float64)).to(x)
        lines = functional.pad(x.reshape(-1, 1, x.shape[-1]), (taps - 1, 0))
        return functional.conv1d(lines, kernel.reshape(1, 1, -1)).reshape(x.shape)

    @property
    def _range(self) -> tuple[float, float]:
        return (self.media.high + self.media.low) / 2, (self.media.high - self.media.low) / 2
