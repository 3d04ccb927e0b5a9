"""Group norms of items whose channels come last, with what usually follows them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Norm"]


class Norm(nn.GroupNorm):
    """A group norm with groups of at least 8 channels, 32 groups at most; a modulation and SiLU after it if wanted.

    Source: Wu and He 2018, arXiv 1803.08494; Dhariwal and Nichol 2021, arXiv 2105.05233, section 3 (modulation).
    """

    def __init__(self, channels: int) -> None:
        groups = max(n for n in range(1, 33) if channels % n == 0 and (channels // n >= 8 or n == 1))
        super().__init__(groups, channels)

    def forward(self, x: Tensor, modulation: Tensor | None = None, *, silu: bool = False) -> Tensor:
        """Return like x (batch, \\*space, channels).

        Args:
            x: the items.
            modulation: scale and shift (rows, 2 channels): the norm is multiplied by 1 + scale, then shift is added. Of
                fewer rows than items, each is that of as many items in a row.
            silu: whether SiLU comes last.
        """
        if torch.is_grad_enabled():
            y = self._modulated(x, self.weight, self.bias, modulation)
            return functional.silu(y) if silu else y
        halves = _halves(x)
        # In bfloat16 all of it in float32, and rounded once.
        scale, shift, wide = (each.float() if halves else each for each in (self.weight, self.bias, x))
        if halves:
            modulation = None if modulation is None else modulation.float()
        if modulation is not None and len(modulation) == 1:
            # One modulation of all items is one of the layer's own weights, and takes no pass over them.
            more, moved = modulation[0].chunk(2)
            scale, shift = torch.addcmul(scale, scale, more), torch.addcmul(shift + moved, shift, more)
            modulation = None
        y = self._modulated(wide, scale, shift, modulation)
        y = functional.silu(y, inplace=True) if silu else y
        return y.to(x.dtype) if halves else y

    def _modulated(self, x: Tensor, scale: Tensor, shift: Tensor, modulation: Tensor | None) -> Tensor:
        y = self._normed(x, scale, shift)
        if modulation is None:
            return y
        if len(modulation) != len(x):
            modulation = modulation.repeat_interleave(len(x) // len(modulation), 0)
        more, moved = modulation.reshape(len(x), *(1,) * (x.ndim - 2), -1).chunk(2, -1)
        return torch.addcmul(moved, y, 1 + more)

    def _normed(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        if torch.is_grad_enabled() and self.weight.requires_grad and not x.requires_grad:
            # Torch's backward for channels last writes the gradient of x, wanted or not: without one it crashes (2.13).
            x = x.detach().requires_grad_()
        first = x.movedim(-1, 1)
        if x.ndim == 3:
            return self._grouped(first.unsqueeze(2), scale, shift).squeeze(2).mT
        return self._grouped(first, scale, shift).movedim(1, -1)

    def _grouped(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        """Return the norm of x (batch, channels, \\*space)."""
        if not _halves(x):
            return torch.group_norm(x, self.num_groups, scale, shift, self.eps)
        made: Tensor = _Halves.apply(x, scale, shift, self.num_groups, self.eps)  # type: ignore[no-untyped-call]
        return made


def _halves(x: Tensor) -> bool:
    """Return whether x is of bfloat16 on a CPU, where torch's norm of it is slow, see :class:`_Halves`."""
    return x.dtype == torch.bfloat16 and x.device.type == "cpu"


class _Halves(torch.autograd.Function):
    """A norm of bfloat16 on a CPU that is reckoned in float32, forward and back; what is kept is bfloat16.

    With channels last torch's own of bfloat16 takes up to five times as long forward, and nine times back (2.13).
    """

    @staticmethod
    def forward(ctx, x: Tensor, scale: Tensor, shift: Tensor, groups: int, eps: float) -> Tensor:  # type: ignore[no-untyped-def]
        x = _last(x)
        ctx.sizes = (len(x), x.shape[1], x[0, 0].numel(), groups)
        normed: Any = torch.native_group_norm
        made, mean, rstd = normed(x.float(), scale.float(), shift.float(), *ctx.sizes, eps)
        ctx.save_for_backward(x, mean, rstd, scale)
        return made.to(x.dtype)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient: Tensor):  # type: ignore[no-untyped-def]
        x, mean, rstd, scale = ctx.saved_tensors
        wide = _last(gradient).float(), x.float(), mean, rstd, scale.float()
        of_x, *others = torch.ops.aten.native_group_norm_backward(*wide, *ctx.sizes, [True] * 3)
        of_scale, of_shift = (each.to(scale.dtype) for each in others)
        return of_x.to(x.dtype), of_scale, of_shift, None, None


def _last(x: Tensor) -> Tensor:
    """Return x (batch, channels, \\*space) with two or three axes of space so that channels lie last in memory."""
    return x.contiguous(memory_format=torch.channels_last if x.ndim == 4 else torch.channels_last_3d)
