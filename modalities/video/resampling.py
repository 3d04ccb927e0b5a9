"""Films brought to another size and to more or fewer frames a second, as tensors."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor

from ...core.media import MediaSpec
from ...core.raster.resampling import resampled as resized

__all__ = ["resampled"]


def resampled(media: Tensor, given: MediaSpec, wanted: MediaSpec) -> Tensor:
    """Return films (batch, channels, frames, height, width) of another size and number of frames.

    Frame ``i`` stands at ``i / fps``: a frame in between is a blend of its neighbours in time, what comes after the
    last one is the last one again, and where there are to be fewer the others are left out.
    """
    _, frames, height, width = wanted.shape
    ratio = (given.rates[0] or 1.0) / (wanted.rates[0] or 1.0)
    places = (torch.arange(frames, dtype=torch.float64) * ratio).clamp(max=media.shape[2] - 1)
    before = places.floor().long()
    after = (before + 1).clamp(max=media.shape[2] - 1)
    if not torch.equal(places, torch.arange(media.shape[2], dtype=torch.float64)):
        share = (places - before).to(media).reshape(-1, 1, 1)
        media = torch.lerp(media[:, :, before], media[:, :, after], share)
    together = rearrange(media, "batch channels frames height width -> (batch frames) channels height width")
    return rearrange(
        resized(together, height, width),
        "(batch frames) channels height width -> batch channels frames height width",
        frames=frames,
    )
