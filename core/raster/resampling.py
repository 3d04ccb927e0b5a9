"""Pixels brought to more or fewer rows and columns, as tensors."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

__all__ = ["resampled"]


def resampled(pixels: Tensor, height: int, width: int) -> Tensor:
    """Return pixels (batch, channels, height, width) of another size, by a bicubic filter that does not alias.

    Both sizes cover the same ground, edge to edge. It is linear: next to edges values may overshoot those given.
    """
    if pixels.shape[2:] == (height, width):
        return pixels
    return functional.interpolate(pixels, (height, width), mode="bicubic", align_corners=False, antialias=True)
