"""Channels and sample rates of sounds turned into those that are asked for.

Channels:

====  ====  ==============================================================================================
from  to    how
====  ====  ==============================================================================================
n     n     unchanged
1     2     the channel twice
n     1     2 channels: their mean; 6 channels (5.1): stereo as below, then the mean
6     2     L + a C + a Ls and R + a C + a Rs with a = 1/sqrt(2), without the low-frequency channel, over 1 + 2 a,
            so that nothing clips (ITU-R BS.775); the order is L R C LFE Ls Rs
====  ====  ==============================================================================================

Everything else is refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import torch
from einops import rearrange
from torch.nn import functional

from ...core.errors import MediaError
from ...core.libraries import torchaudio_module
from ...core.media import MediaSpec

__all__ = ["convert_channels", "convertible_channels", "resample", "resampled"]

KERNEL_LIMIT = 2**22
"""Largest table of resampling weights, in values (16 MiB): rates with a large common divisor need far less."""

FILTER_WIDTH = 6
"""Zero crossings of the sinc on either side (torchaudio's own default)."""

PIECE = 2**18
"""Frames resampled at a time."""


def convertible_channels(given: int, wanted: int) -> bool:
    """Whether ``given`` channels can become ``wanted``."""
    return given == wanted or (given, wanted) in {(1, 2), (2, 1), (6, 2), (6, 1)}


def convert_channels(samples: torch.Tensor, wanted: int) -> torch.Tensor:
    """Return ``samples`` (channels, time) with ``wanted`` channels, by the table of this module.

    Raises:
        MediaError: the table has no way from one number to the other.
    """
    given = samples.shape[0]
    if given == wanted:
        return samples
    if not convertible_channels(given, wanted):
        raise MediaError(f"wrong channels: {given} given, {wanted} wanted, and no rule for it; convert the file first")
    if given == 1:
        return samples.expand(2, -1).contiguous()
    if given == 6:
        a = math.sqrt(0.5)
        left, right, centre, _, left_behind, right_behind = samples
        samples = torch.stack([left + a * (centre + left_behind), right + a * (centre + right_behind)]) / (1 + 2 * a)
    return samples.mean(dim=0, keepdim=True) if wanted == 1 else samples


def resample(samples: torch.Tensor, given: int, wanted: int) -> torch.Tensor:
    """Return ``samples`` (channels, time) at ``given`` Hz resampled to ``wanted`` Hz, by a windowed sinc.

    A long sound is done in pieces that overlap by the reach of the filter, so that memory stays bounded.

    Raises:
        MediaError: the two rates have so small a common divisor that the table of weights would be huge.
    """
    if given == wanted:
        return samples
    divisor = math.gcd(given, wanted)
    up, down = wanted // divisor, given // divisor
    reach = math.ceil(FILTER_WIDTH * down / (0.99 * min(up, down)))
    if up * (down + 2 * reach) > KERNEL_LIMIT:
        raise MediaError(
            f"wrong sample rate: {given} Hz given, {wanted} Hz wanted, a ratio of {down}:{up}; resample the file first"
        )
    filtered = _resampler(given, wanted, samples.device)
    overlap = -(-(reach + 1) // down)  # this and the next in periods: down samples in are up samples out
    step = max(1, PIECE // down)
    frames = samples.shape[1]
    if frames <= step * down:
        return filtered(samples)
    resampled = samples.new_empty(samples.shape[0], -(-frames * up // down))
    for first in range(0, -(-frames // down), step):
        before = max(0, first - overlap)
        piece = filtered(samples[:, before * down : (first + step + overlap) * down])
        piece = piece[:, (first - before) * up : (first - before + step) * up]
        resampled[:, first * up : first * up + piece.shape[1]] = piece
    return resampled


def resampled(media: torch.Tensor, given: MediaSpec, wanted: MediaSpec) -> torch.Tensor:
    """Return sounds (batch, channels, samples) at another rate and of another length, by :func:`resample`.

    What is missing at the end is silence.
    """
    lines = rearrange(media, "batch channels samples -> (batch channels) samples")
    made = resample(lines, int(given.rates[0] or 0), int(wanted.rates[0] or 0))[:, : wanted.shape[1]]
    made = functional.pad(made, (0, wanted.shape[1] - made.shape[1]))
    return rearrange(made, "(batch channels) samples -> batch channels samples", channels=media.shape[1])


@lru_cache(maxsize=4)
def _resampler(given: int, wanted: int, device: torch.device) -> Callable[[torch.Tensor], torch.Tensor]:
    transforms = torchaudio_module("torchaudio.transforms")
    resampler: Callable[[torch.Tensor], torch.Tensor] = transforms.Resample(
        given, wanted, lowpass_filter_width=FILTER_WIDTH, rolloff=0.99
    ).to(device)
    return resampler
