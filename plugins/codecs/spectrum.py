"""What the codecs of sound share: the short-time Fourier transform, and where its bins are laid out."""

from __future__ import annotations

from typing import Literal

import torch
from einops import rearrange
from torch import Tensor

from ...core.errors import ConfigError
from ...core.media import MediaSpec

__all__ = ["Layout", "check_sound", "laid_out", "latent_shape", "sound", "spectrum", "taken_back"]

Layout = Literal["channels", "axis"]
"""Where the bins go: "channels" gives (channels * bins, frames) for ``unet-1d``, "axis" (channels, bins, frames)."""


def check_sound(media: MediaSpec, codec: str) -> None:
    """Raise ConfigError unless the medium is a sound, with one axis of space."""
    if len(media.shape) != 2:
        raise ConfigError(f"codec {codec!r} takes sound of shape (channels, samples), got {media.shape}; use another")


def spectrum(sound: Tensor, window: Tensor, size: int, hop: int) -> Tensor:
    """Return the complex spectrum (batch, channels, bins, frames) of sound (batch, channels, samples).

    Frames are centred on multiples of ``hop``; beyond its ends the sound is silent, so that any length goes.
    """
    rows = rearrange(sound, "batch channels samples -> (batch channels) samples")
    found = torch.stft(rows, size, hop, window=window, center=True, pad_mode="constant", return_complex=True)
    return rearrange(found, "(batch channels) bins frames -> batch channels bins frames", channels=sound.shape[1])


def sound(found: Tensor, window: Tensor, size: int, hop: int, samples: int) -> Tensor:
    """Return the sound (batch, channels, samples) whose spectrum is nearest to one (batch, channels, bins, frames)."""
    rows = rearrange(found, "batch channels bins frames -> (batch channels) bins frames")
    waves = torch.istft(rows, size, hop, window=window, center=True, length=samples)
    return rearrange(waves, "(batch channels) samples -> batch channels samples", channels=found.shape[1])


def latent_shape(channels: int, bins: int, frames: int, layout: Layout) -> tuple[int, ...]:
    """Return the shape of an item in a layout."""
    return (channels * bins, frames) if layout == "channels" else (channels, bins, frames)


def laid_out(values: Tensor, layout: Layout) -> Tensor:
    """Lay (batch, channels, bins, frames) out for a network."""
    if layout == "axis":
        return values
    return rearrange(values, "batch channels bins frames -> batch (channels bins) frames")


def taken_back(latent: Tensor, channels: int, layout: Layout) -> Tensor:
    """Undo :func:`laid_out`."""
    if layout == "axis":
        return latent
    return rearrange(latent, "batch (channels bins) frames -> batch channels bins frames", channels=channels)
