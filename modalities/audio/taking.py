"""Sounds that a user gives, as a model takes them."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ...core.errors import ConfigError, MediaError
from ...core.media import MediaSpec
from ...core.values import all_finite
from .clip import Audio
from .convert import convert_channels, resample

__all__ = ["taken"]


def taken(sound: object, spec: MediaSpec, *, fit: bool) -> tuple[Tensor, MediaSpec]:
    """Return samples (channels, time) with a model's channels, and their shape and rate.

    Args:
        sound: a sound.
        spec: what the model sees.
        fit: also bring it to the model's sample rate; its length stays.

    Raises:
        ConfigError: it is no sound.
        MediaError: its values are not finite, or there is no rule for its channels.
    """
    if not isinstance(sound, Audio) or sound.samples.ndim != 2:
        raise ConfigError(f"sound: expected an Audio, such as audio.read gives, got {sound!r:.80}")
    samples = sound.samples.detach().to("cpu", torch.float32)
    if not samples.numel() or not all_finite(samples):
        raise MediaError("sound: empty, or some samples are not finite; give samples in [-1, 1]")
    samples = convert_channels(samples, spec.shape[0])
    rate = sound.sample_rate
    if fit:
        rate = int(spec.rates[0] or 0)
        samples = resample(samples, sound.sample_rate, rate)
    return samples.clamp(spec.low, spec.high), replace(spec, shape=tuple(samples.shape), rates=(float(rate),))
