"""Convolutions on CPUs whose weights are laid out as oneDNN wants them once, and not at every call.

Only those that nobody learns, as those of a loaded model are; and anew where they are changed in place, or are others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from .products import FEW

__all__ = ["PackedWeights", "packable"]


@dataclass(frozen=True, slots=True)
class _Packed:
    """Weights in oneDNN's layout.

    Attributes:
        source: what they were made of. As long as it is held no other weights can come to lie where it does.
        version: of the source then, which every change in place raises.
        shape: of the input that they were made for.
        weight: they.
    """

    source: Tensor
    version: int
    shape: torch.Size
    weight: Tensor

    def fits(self, x: Tensor, weight: Tensor) -> bool:
        """Return whether they are still those weights, for such an input."""
        return (
            self.source.data_ptr() == weight.data_ptr()
            and self.source.shape == weight.shape
            and self.version == weight._version
            and self.shape == x.shape
        )


def packable(x: Tensor, weight: Tensor, multiplications: int) -> bool:
    """Return whether a convolution may run with packed weights, and is the faster so.

    It may on a CPU, in float32, where nothing is learnt; it is where there is enough to multiply. ``weight`` is the
    parameter itself: a view that is made without gradients does not say that it is learnt.
    """
    return (
        not torch.compiler.is_compiling()  # first, since a compiler follows only some of the others
        and not torch.is_grad_enabled()
        and not weight.requires_grad
        and x.dtype == weight.dtype == torch.float32
        and x.device.type == weight.device.type == "cpu"
        and multiplications >= FEW
        and not weight.is_inference()  # which has no version
        and not torch.is_autocast_enabled("cpu")
        and _works()
    )


class PackedWeights:
    """Where a convolution keeps its weights packed, for the shape of x that it saw last. A copy begins empty."""

    def __init__(self) -> None:
        self.kept: _Packed | None = None

    def __deepcopy__(self, memo: object) -> PackedWeights:
        return PackedWeights()

    def __reduce__(self) -> tuple[type[PackedWeights], tuple[()]]:
        return PackedWeights, ()

    def convolution(
        self, x: Tensor, weight: Tensor, bias: Tensor | None, stride: Sequence[int], padding: Sequence[int]
    ) -> Tensor:
        """Return the convolution of x (batch, channels in, *space) over two or three axes, if it is :func:`packable`.

        Args:
            x: channels last in memory.
            weight: (channels out, channels in, *width).
            bias: (channels out,).
            stride: along each axis.
            padding: along each axis.
        """
        kept = self.kept
        if kept is None or not kept.fits(x, weight):
            kept = _Packed(weight.detach(), weight._version, x.shape, _packed(x, weight, stride, padding))
            self.kept = kept
        ones = [1] * len(stride)
        made: Tensor = torch.ops.mkldnn._convolution_pointwise(
            x, kept.weight, bias, padding, stride, ones, 1, "none", [], ""
        )
        return made


def _packed(x: Tensor, weight: Tensor, stride: Sequence[int], padding: Sequence[int]) -> Tensor:
    operators: Any = torch._C._nn  # whose types leave out the last argument
    reorder = operators.mkldnn_reorder_conv2d_weight if x.ndim == 4 else operators.mkldnn_reorder_conv3d_weight
    packed: Tensor = reorder(weight.to_mkldnn(), padding, stride, [1] * len(stride), 1, list(x.shape))
    return packed


@cache
def _works() -> bool:
    """Return whether this torch has the private operators, and they do what is thought of them."""
    x, weight, bias = (torch.linspace(-1, 1, size) for size in (2 * 25, 3 * 2 * 9, 3))
    x, weight = (part.to(memory_format=torch.channels_last) for part in (x.view(1, 2, 5, 5), weight.view(3, 2, 3, 3)))
    try:
        made = PackedWeights().convolution(x, weight, bias, (2, 2), (1, 1))
    except (AttributeError, RuntimeError, TypeError):
        return False
    return torch.allclose(made, functional.conv2d(x, weight, bias, 2, 1), atol=1e-5)
