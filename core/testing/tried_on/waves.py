"""Items of any modality for checks: smooth waves, in the shape that an example of its ``[media]`` table says."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor

from ...media import MediaSpec
from ...registration.plugin_loading import Part
from ...registration.registry import current

__all__ = ["example_of", "wave"]


def example_of(modality: Part) -> Mapping[str, object]:
    """Return a ``[media]`` table of a modality: what its attribute ``claims`` says, or that of one of its pipelines.

    Empty where there is neither.
    """
    claimed = getattr(modality.load(), "claims", {}).get("media")
    if claimed:
        return cast("Mapping[str, object]", claimed)
    registry = current()
    for name, table in registry.pipelines.items():
        if table.get("modality") == modality.name:
            return registry.pipeline(name).media
    return {}


def wave(spec: MediaSpec, number: int = 0, *, size: float = 0.3) -> Tensor:
    """Return an item (\\*spec.shape), float32, with a plane wave in each channel, of ``size`` of half the range.

    No two axes, channels or numbers are alike, so that none of them can be exchanged or turned unnoticed.
    """
    channels, *space = spec.shape
    phase = torch.zeros(spec.shape, dtype=torch.float64) + 0.23 * number
    for axis, length in enumerate(space):
        places = torch.arange(length, dtype=torch.float64) / length
        phase += ((1 + (axis + number) % 3) * places).reshape(-1, *[1] * (len(space) - 1 - axis))
    phase += (0.11 * torch.arange(channels, dtype=torch.float64)).reshape(-1, *[1] * len(space))
    middle, half = (spec.high + spec.low) / 2, (spec.high - spec.low) / 2
    return (middle + size * half * torch.sin(2 * math.pi * phase)).float()
