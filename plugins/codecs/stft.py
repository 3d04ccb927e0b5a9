"""The short-time Fourier transform, with its magnitudes compressed; exactly invertible."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Gt, Le
from einops import rearrange
from torch import Tensor

from ...core.errors import ConfigError
from ...core.media import MediaSpec
from .spectrum import Layout, check_sound, laid_out, latent_shape, sound, spectrum, taken_back

__all__ = ["STFT"]


class STFT:
    """Real and imaginary part of every bin, as two channels: ``scale * |X|**power * exp(i arg X)``.

    Args:
        window: samples of a (Hann) window, also of the transform; even.
        hop: samples from one frame to the next; at most half a window.
        power: exponent of the magnitudes; below 1 it lifts quiet sound.
        scale: factor of the result; 1 / its standard deviation gives unit variance.
        layout: "axis" for ``unet-2d``, "channels" for ``unet-1d``.

    Source: Richter et al. 2023, arXiv 2208.05830, section II.E.
    """

    claims: ClassVar[Mapping[str, object]] = {"declared_error": 1e-5}

    def __init__(
        self,
        window: Annotated[int, Ge(4), Le(65536)] = 510,
        hop: Annotated[int, Ge(1), Le(32768)] = 128,
        power: Annotated[float, Gt(0), Le(1)] = 0.5,
        scale: Annotated[float, Gt(0)] = 1.0,
        layout: Layout = "axis",
        *,
        media: MediaSpec,
    ) -> None:
        check_sound(media, "stft")
        if window % 2 or hop * 2 > window:
            raise ConfigError(f"codec stft: expected an even window of at least 2 hops, got window {window}, hop {hop}")
        self._size, self._hop, self._power, self._scale, self._layout = window, hop, power, scale, layout
        self._window = torch.hann_window(window)

    def shape(self, media_shape: tuple[int, ...]) -> tuple[int, ...]:
        channels, samples = media_shape
        return latent_shape(2 * channels, self._size // 2 + 1, samples // self._hop + 1, self._layout)

    def encode(self, media: Tensor) -> Tensor:
        """Return the latent (batch, \\*shape) of sound (batch, channels, samples)."""
        found = spectrum(media, self._window.to(media), self._size, self._hop)
        parts = torch.view_as_real(torch.polar(found.abs() ** self._power, found.angle())) * self._scale
        values = rearrange(parts, "batch channels bins frames part -> batch (channels part) bins frames")
        return laid_out(values, self._layout)

    def decode(self, latent: Tensor, media_shape: tuple[int, ...]) -> Tensor:
        """Return sound (batch, \\*media_shape)."""
        channels, samples = media_shape
        values = taken_back(latent, 2 * channels, self._layout) / self._scale
        parts = rearrange(values, "batch (channels part) bins frames -> batch channels bins frames part", part=2)
        compressed = torch.view_as_complex(parts.contiguous())
        found = torch.polar(compressed.abs() ** (1 / self._power), compressed.angle())
        return sound(found, self._window.to(latent), self._size, self._hop, samples).clamp(-1, 1)
