"""Items of the data that are nearest to embeddings: what a codec that decodes nothing is looked at by."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..pipeline.modality import DataSet

__all__ = ["middle", "nearest", "spread_over"]

_SEARCHED = 512  # items at most; a picture every thousand steps should not cost more than a second


def spread_over(data: DataSet, most: int) -> list[int]:
    """Return numbers of items from all over the data, no more than ``most``."""
    count = min(most, len(data))
    return [number * len(data) // count for number in range(count)]


def middle(data: DataSet, number: int) -> Tensor:
    """Return an item, or the middle of one that is too large, as a batch of one (1, channels, \\*space)."""
    return data.item(number, start=0.5).unsqueeze(0)


def nearest(codec: Any, latents: Tensor, data: DataSet) -> list[int]:
    """Return for each of some latents (items, width) the number of the item of the data that is most similar to it.

    Args:
        codec: has ``similarity``.
        latents: as the codec gives them.
        data: of which items from all over are looked at.
    """
    numbers = spread_over(data, _SEARCHED)
    known = torch.cat([codec.encode(middle(data, number).to(latents.device)) for number in numbers])
    best = codec.similarity(latents.to(known), known).argmax(1)
    return [numbers[place] for place in best.tolist()]
