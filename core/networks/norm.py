"""Group norms of items whose channels come last, with what usually follows them."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from .layout import with_channels_last, with_channels_second

__all__ = ["Affine", "Norm"]


class Affine(NamedTuple):
    """What a norm multiplies by and adds, for all items alike.

    Attributes:
        scale: (channels,).
        shift: (channels,).
    """

    scale: Tensor
    shift: Tensor

    def modulated(self, modulation: Tensor) -> Affine:
        """Return the two with a modulation (1, 2, channels) in them: of all items alike it takes no pass over them."""
        more, moved = modulation[0].unbind()
        return Affine(torch.addcmul(self.scale, self.scale, more), torch.addcmul(self.shift + moved, self.shift, more))


class Norm(nn.GroupNorm):
    """A group norm with groups of at least 8 channels, 32 groups at most; a modulation and SiLU after it if wanted.

    Source: Wu and He 2018, arXiv 1803.08494; Dhariwal and Nichol 2021, arXiv 2105.05233, section 3 (modulation).
    """

    def __init__(self, channels: int) -> None:
        groups = max(n for n in range(1, 33) if channels % n == 0 and (channels // n >= 8 or n == 1))
        super().__init__(groups, channels)

    def forward(
        self, x: Tensor, modulation: Tensor | Affine | None = None, *, silu: bool = False, channels_second: bool = False
    ) -> Tensor:
        """Return like x (batch, \\*space, channels).

        Args:
            x: the items.
            modulation: scale and shift (rows, 2, channels): the norm is multiplied by 1 + scale, then shift is added.
                Of fewer rows than items, each is that of as many items in a row. Or both of all items, with the layer's
                own in them, where nothing is learnt.
            silu: whether SiLU comes last.
            channels_second: whether x is a view of the items, see :func:`~.layout.with_channels_second`, and what is
                returned one, too.
        """
        y = self._modulated(x if channels_second else with_channels_second(x), modulation, silu)
        return y if channels_second else with_channels_last(y, x.ndim)

    @property
    def own(self) -> Affine:
        """The layer's own scale and shift; in float32 where its weights are of bfloat16 on a CPU."""
        weight, bias = self.weight, self.bias
        return Affine(weight.float(), bias.float()) if _halves(weight) else Affine(weight, bias)

    def _modulated(self, x: Tensor, modulation: Tensor | Affine | None, silu: bool) -> Tensor:
        if torch.is_grad_enabled() and not isinstance(modulation, Affine):
            y = self._learnt(x)
            y = y if modulation is None else _multiplied(y, modulation)
            return functional.silu(y) if silu else y
        halves = _halves(x)  # of which all is reckoned in float32, and rounded once
        if isinstance(modulation, Affine):
            affine, each = modulation, None
        else:
            affine, each = self.own, modulation
            if each is not None and halves:
                each = each.float()
            if each is not None and len(each) == 1:
                affine, each = affine.modulated(each), None
        y = torch.group_norm(x.float() if halves else x, self.num_groups, *affine, self.eps)
        if each is not None:
            y = _multiplied(y, each)
        if silu:
            y = functional.silu(y, inplace=True)
        return y.to(x.dtype) if halves else y

    def _learnt(self, x: Tensor) -> Tensor:
        """Return the norm of x (batch, channels, \\*space), with gradients."""
        if self.weight.requires_grad and not x.requires_grad:
            # Torch's backward for channels last writes the gradient of x, wanted or not: without one it crashes (2.13).
            x = x.detach().requires_grad_()
        if not _halves(x):
            return torch.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)
        made: Tensor = _Halves.apply(x, self.weight, self.bias, self.num_groups, self.eps)  # type: ignore[no-untyped-call]
        return made


def _multiplied(y: Tensor, modulation: Tensor) -> Tensor:
    """Return y (batch, channels, \\*space) under a modulation (rows, 2, channels)."""
    if len(modulation) != len(y):
        modulation = modulation.repeat_interleave(len(y) // len(modulation), 0)
    more, moved = modulation.reshape(*modulation.shape, *(1,) * (y.ndim - 2)).unbind(1)
    return torch.addcmul(moved, y, 1 + more)


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
