"""How items lie between layers: channels last, and the view of them that torch's own layers want."""

from __future__ import annotations

from torch import Tensor

__all__ = ["with_channels_last", "with_channels_second"]


def with_channels_second(x: Tensor) -> Tensor:
    """Return a view (batch, channels, \\*space) of x (batch, \\*space, channels), with two axes of space at least.

    In memory channels stay last. Along one axis the other is of size 1: torch has no such layout for items of rank 1.
    """
    y = x.movedim(-1, 1)
    return y.unsqueeze(2) if x.ndim == 3 else y


def with_channels_last(y: Tensor, ndim: int) -> Tensor:
    """Return the view (batch, \\*space, channels) of ``ndim`` axes whose :func:`with_channels_second` is y."""
    return y.squeeze(2).mT if ndim == 3 else y.movedim(1, -1)
