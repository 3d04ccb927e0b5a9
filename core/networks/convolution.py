"""Convolutions of items of any rank whose channels come last."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from .packing import PackedWeights, packable
from .products import linear, product, quick

__all__ = ["Convolution", "Pointwise"]

_CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}

_MANY = 2**20
"""Multiplications of an item from which on it pays to keep weights packed."""

_SMALL = 20480
"""Numbers of one item up to which torch does not give its convolution to oneDNN, but multiplies by itself."""


class Convolution(nn.Module):
    """A convolution over all axes of space that keeps the size, or divides it by ``stride``.

    Weights are named and shaped like those of torch's own. Along one axis it runs as one over two, the first of size 1:
    torch has no channels-last layout for items of rank 1.

    Args:
        rank: axes of space.
        channels_in: channels of the input.
        channels_out: channels of the output.
        width: of the kernel along each axis.
        stride: positions from one output to the next along each axis.
    """

    def __init__(self, rank: int, channels_in: int, channels_out: int, width: int = 3, *, stride: int = 1) -> None:
        super().__init__()
        start = _CONVOLUTIONS[rank](channels_in, channels_out, width)
        # Laid out as it is used, or every call would copy it.
        self.weight = nn.Parameter(start.weight.detach().movedim(1, -1).contiguous().movedim(-1, 1))
        self.bias = start.bias
        self._stride, self._padding = stride, width // 2
        self._packed = PackedWeights()

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, \\*space, channels_out) for x (batch, \\*space, channels_in)."""
        stride, padding = self._stride, self._padding
        weight: Tensor = self.weight
        places = x.numel() // x.shape[-1] // stride ** (x.ndim - 2)
        packed = places * weight.numel() >= _MANY and packable(x, weight)
        if len(x) == 1 and x.numel() <= _SMALL and not torch.is_grad_enabled() and not packed:
            rows = weight.movedim(1, -1).flatten(1)
            if quick(x, weight, places * weight.numel()):
                return product(_windows(x, weight.shape[2:], stride, padding), rows, self.bias)
        first, kernel = x.movedim(-1, 1), weight
        strides, paddings = [stride] * (x.ndim - 2), [padding] * (x.ndim - 2)
        if x.ndim == 3:
            first, kernel, strides, paddings = first.unsqueeze(2), weight.unsqueeze(2), [1, stride], [0, padding]
        if packed:
            y = self._packed.convolution(first, kernel, self.bias, strides, paddings)
        else:
            convolve = functional.conv2d if first.ndim == 4 else functional.conv3d
            y = convolve(first, kernel, self.bias, strides, paddings)
        return (y.squeeze(2) if x.ndim == 3 else y).movedim(1, -1)


class Pointwise(nn.Module):
    """A convolution of width 1 as a matrix product; weights are named and shaped like a convolution's.

    The convolutions of oneDNN split the sum over the channels of such a layer among threads, so that their last bit
    depends on how many there are; a matrix product's does not, as the package tells MKL at its import.

    Args:
        rank: axes of space.
        channels_in: channels of the input.
        channels_out: channels of the output.
    """

    def __init__(self, rank: int, channels_in: int, channels_out: int) -> None:
        super().__init__()
        start = _CONVOLUTIONS[rank](channels_in, channels_out, 1)
        self.weight, self.bias = start.weight, start.bias

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, \\*space, channels_out) for x (batch, \\*space, channels_in)."""
        return linear(x, self.weight.flatten(1), self.bias)


def _windows(x: Tensor, widths: Sequence[int], stride: int, padding: int) -> Tensor:
    """Return what each output sees of x (batch, \\*space, channels), as (batch, \\*space, what a kernel weighs)."""
    rank = len(widths)
    seen = functional.pad(x, (0, 0, *[padding] * (2 * rank)))
    for axis, width in enumerate(widths, start=1):
        seen = seen.unfold(axis, width, stride)
    return seen.movedim(rank + 1, -1).flatten(rank + 1)
