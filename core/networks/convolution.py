"""Convolutions of items of any rank whose channels come last."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from .layout import with_channels_last, with_channels_second
from .packing import PackedWeights, packable
from .products import linear

__all__ = ["Convolution", "Pointwise"]

_CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


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
        self._rank, self._width, self._fewer = rank, width, stride**rank
        self._strides, self._paddings = [stride] * rank, [width // 2] * rank
        if rank == 1:
            self._strides, self._paddings = [1, *self._strides], [0, *self._paddings]
        self._packed = PackedWeights()

    def forward(self, x: Tensor, *, channels_second: bool = False) -> Tensor:
        """Return (batch, \\*space, channels_out) for x (batch, \\*space, channels_in).

        Args:
            x: the items.
            channels_second: whether both are views of these, see :func:`~.layout.with_channels_second`.
        """
        y = self._convolved(x if channels_second else with_channels_second(x))
        return y if channels_second else with_channels_last(y, x.ndim)

    def _convolved(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled() and min(x.shape[-self._rank :]) < self._width and _learns_halves(x):
            with torch.autocast("cpu", enabled=False):
                return self._weighted(x.float()).to(torch.bfloat16)
        return self._weighted(x)

    def _weighted(self, x: Tensor) -> Tensor:
        weight: Tensor = self.weight
        outputs = x.numel() // (x.shape[1] * self._fewer)
        packed = packable(x, weight, outputs * weight.numel())
        if self._packed.kept is not None and weight.requires_grad:
            self._packed.kept = None  # who learns weights may change them unseen
        if self._rank == 1:
            weight = weight.unsqueeze(2)
        if packed:
            return self._packed.convolution(x, weight, self.bias, self._strides, self._paddings)
        convolve = functional.conv2d if x.ndim == 4 else functional.conv3d
        return convolve(x, weight, self.bias, self._strides, self._paddings)


def _learns_halves(x: Tensor) -> bool:
    """Return whether torch would learn from x in bfloat16 on a CPU.

    There its gradients are wrong, or of memory that is not theirs, where an item is smaller than the kernel (2.13).
    """
    if x.device.type != "cpu":
        return False
    cast = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
    return cast and x.dtype in (torch.float32, torch.bfloat16)


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
