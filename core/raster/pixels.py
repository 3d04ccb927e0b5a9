"""Pixels as tensors, in 8 bits and as Pillow's images."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image as PillowImage
from torch import Tensor

__all__ = ["eight_bit", "enlargement", "from_pillow", "to_pillow"]


def eight_bit(pixels: Tensor) -> Tensor:
    """Return values of [0, 1] as uint8: ``round(255 x)``, halves to even, held to [0, 255].

    It is done one after the other along the first axis, so that no second copy of a large picture is needed.
    """
    made = torch.empty(pixels.shape, dtype=torch.uint8, device="cpu")
    for part, into in zip(pixels.detach(), made, strict=True):
        into.copy_((part.to("cpu", torch.float32) * 255.0).round_().clamp_(0, 255))
    return made


def from_pillow(image: PillowImage.Image) -> Tensor:
    """Return an image of mode L, RGB or RGBA as uint8 (channels, height, width)."""
    values = torch.from_numpy(np.array(image, dtype=np.uint8))
    return values[None] if values.ndim == 2 else values.permute(2, 0, 1).contiguous()


def to_pillow(pixels: Tensor) -> PillowImage.Image:
    """Return uint8 (channels, height, width) with 1, 3 or 4 channels as an image of mode L, RGB or RGBA."""
    values = pixels[0] if pixels.shape[0] == 1 else pixels.permute(1, 2, 0)
    return PillowImage.fromarray(np.ascontiguousarray(values.numpy()))


def enlargement(height: int, width: int, edge: int) -> int:
    """Return the whole factor by which pixels are enlarged to about an edge, for people to look at; 1 if larger."""
    return max(1, round(edge / max(height, width)))
