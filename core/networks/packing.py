"""Weights that are laid out once for many calls: those of convolutions for oneDNN, those of all modulations as one.

Only those that nobody learns, as those of a loaded model are; and anew where they are changed in place, are others, or
were learnt meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from .norm import Affine, Norm
from .products import linear, multiplies_halves

__all__ = ["ModulationsTogether", "PackedWeights", "is_plain", "packable"]

_FEW = 3 * 2**18
"""Multiplications below which torch's own convolution of float32 is the faster one: a call of oneDNN costs 20 us."""


@dataclass(frozen=True, slots=True)
class _Source:
    """Weights that something was made of.

    Attributes:
        weight: they. As long as they are held no others can come to lie where they do.
        version: of them then, which changes in place raise, but for those of fused optimizers and by ``.data``.
    """

    weight: Tensor
    version: int

    @classmethod
    def of(cls, weight: Tensor) -> _Source:
        return cls(weight.detach(), weight._version)

    def is_still(self, weight: Tensor) -> bool:
        """Return whether these are still those weights."""
        held = self.weight
        return self.version == weight._version and held.data_ptr() == weight.data_ptr() and held.shape == weight.shape


@dataclass(frozen=True, slots=True)
class _Packed:
    """Weights in oneDNN's layout.

    Attributes:
        source: what they were made of.
        shape: of the input that they were made for.
        weight: they.
    """

    source: _Source
    shape: torch.Size
    weight: Tensor

    def fits(self, x: Tensor, weight: Tensor) -> bool:
        """Return whether they are still those weights, for such an input."""
        return self.shape == x.shape and self.source.is_still(weight)


def packable(x: Tensor, weight: Tensor, multiplications: int) -> bool:
    """Return whether a convolution may run with packed weights, and is the faster so.

    It may on a CPU, in float32 or in a bfloat16 that the processor multiplies itself, where nothing is learnt; it is
    where there is enough to multiply. ``weight`` is the parameter itself: a view that is made without gradients does
    not say that it is learnt.
    """
    return (
        not torch.compiler.is_compiling()  # first, since a compiler follows only some of the others
        and not torch.is_grad_enabled()
        and not weight.requires_grad
        and x.dtype == weight.dtype
        and x.device.type == weight.device.type == "cpu"
        and (multiplications >= _FEW or x.dtype == torch.bfloat16)
        and not weight.is_inference()  # which has no version
        and not torch.is_autocast_enabled("cpu")
        and _works(x.dtype)
    )


class _EmptyInCopies:
    """What keeps something that can be made again, and that a copy or a file therefore does not take along."""

    def __deepcopy__(self, memo: object) -> Self:
        return type(self)()

    def __reduce__(self) -> tuple[type[Self], tuple[()]]:
        return type(self), ()


class PackedWeights(_EmptyInCopies):
    """Where a convolution keeps its weights packed, for the shape of x that it saw last. A copy begins empty."""

    def __init__(self) -> None:
        self.kept: _Packed | None = None

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
            kept = _Packed(_Source.of(weight), x.shape, _packed(x, weight, stride, padding))
            self.kept = kept
        ones = [1] * len(stride)
        made: Tensor = torch.ops.mkldnn._convolution_pointwise(
            x, kept.weight, bias, padding, stride, ones, 1, "none", [], ""
        )
        return made


class ModulationsTogether(_EmptyInCopies):
    """Modulations of norms, reckoned as one where nothing is learnt: many small layers take longer than one.

    A copy begins empty.
    """

    def __init__(self) -> None:
        self.kept: _Together | None = None

    def __call__(
        self, layers: Sequence[nn.Linear], norms: Sequence[Norm], x: Tensor
    ) -> Sequence[Tensor] | Sequence[Affine] | None:
        """Return how each layer modulates its norm, given x (rows, features in).

        Of several rows that is what the layer makes of x, scale and shift (rows, 2, channels). One row is one
        modulation of all items, and so one of the norm's own weights: :class:`~.norm.Affine`.

        None where they must not run as one: where something is learnt, a compiler looks on, or a layer or norm is more
        than its weight and bias, as with a hook or an adapter around it. (Changes by ``.data``, which torch does not
        count, are not seen.)

        Args:
            layers: at least one, with biases, all of one dtype and on one device.
            norms: as many, likewise.
            x: the layers' input.
        """
        if torch.is_grad_enabled() and self.kept is not None:
            self.kept = None  # who learns weights may change them unseen
        if torch.compiler.is_compiling() or torch.is_grad_enabled():
            return None
        if not all(_is_held(layer, nn.Linear) for layer in layers) or not all(_is_held(norm, Norm) for norm in norms):
            return None
        kept = self.kept
        if kept is None or not kept.fits(layers, norms):
            self.kept = kept = _Together.of(layers, norms)
        made = linear(x, kept.weight, kept.bias).unflatten(-1, (2, -1))
        if len(x) != 1:
            return made.split(kept.widths, -1)
        affine = kept.affine.modulated(made.to(kept.affine.scale.dtype))
        return list(map(Affine, *(each.split(kept.widths) for each in affine)))


def is_plain(layer: nn.Module, kind: type[nn.Module]) -> bool:
    """Return whether a layer is of that kind and nothing else: not of one derived from it, nor with a hook."""
    own = type(layer) is kind and "forward" not in vars(layer)
    return own and not layer._forward_hooks and not layer._forward_pre_hooks


def _is_held(layer: nn.Linear | Norm, kind: type[nn.Module]) -> bool:
    """Return whether a layer is a plain one, with weight and bias that nobody learns."""
    return is_plain(layer, kind) and all(
        type(one) in {Tensor, nn.Parameter} and not one.requires_grad and not one.is_inference()
        for one in (layer.weight, layer.bias)
    )


@dataclass(frozen=True, slots=True)
class _Together:
    """The weights and biases of several layers as those of one, and of the norms that they modulate.

    Attributes:
        sources: of which they were made.
        widths: channels of each norm.
        weight: of the layers (2 channels of all, features in): the scales of all first, then their shifts.
        bias: of the layers (2 channels of all,), likewise.
        affine: of the norms (channels of all,).
    """

    sources: tuple[_Source, ...]
    widths: tuple[int, ...]
    weight: Tensor
    bias: Tensor
    affine: Affine

    @classmethod
    def of(cls, layers: Sequence[nn.Linear], norms: Sequence[Norm]) -> _Together:
        sources = tuple(map(_Source.of, _weights_of(layers, norms)))
        weight, bias = (
            torch.cat([half for halves in zip(*(part.chunk(2) for part in parts), strict=True) for half in halves])
            for parts in ([layer.weight for layer in layers], [layer.bias for layer in layers])
        )
        affine = Affine(*map(torch.cat, zip(*(norm.own for norm in norms), strict=True)))
        return cls(sources, tuple(norm.num_channels for norm in norms), weight, bias, affine)

    def fits(self, layers: Sequence[nn.Linear], norms: Sequence[Norm]) -> bool:
        """Return whether they are still those of the layers and norms."""
        now = _weights_of(layers, norms)
        return len(now) == len(self.sources) and all(map(_Source.is_still, self.sources, now))


def _weights_of(layers: Sequence[nn.Linear], norms: Sequence[Norm]) -> list[Tensor]:
    return [
        *(part for layer in layers for part in (layer.weight, layer.bias)),
        *(part for norm in norms for part in (norm.weight, norm.bias)),
    ]


def _packed(x: Tensor, weight: Tensor, stride: Sequence[int], padding: Sequence[int]) -> Tensor:
    operators: Any = torch._C._nn  # whose types leave out the last argument
    reorder = operators.mkldnn_reorder_conv2d_weight if x.ndim == 4 else operators.mkldnn_reorder_conv3d_weight
    packed: Tensor = reorder(weight.to_mkldnn(), padding, stride, [1] * len(stride), 1, list(x.shape))
    return packed


@cache
def _works(dtype: torch.dtype) -> bool:
    """Return whether this torch has the private operators for such numbers, and they do what is thought of them."""
    if dtype != torch.float32 and not (dtype == torch.bfloat16 and multiplies_halves()):
        return False
    x, weight, bias = (torch.linspace(-1, 1, size, dtype=dtype, device="cpu") for size in (2 * 25, 3 * 2 * 9, 3))
    x, weight = (part.to(memory_format=torch.channels_last) for part in (x.view(1, 2, 5, 5), weight.view(3, 2, 3, 3)))
    try:
        made = PackedWeights().convolution(x, weight, bias, (2, 2), (1, 1))
    except (AttributeError, RuntimeError, TypeError):
        return False
    close = 1e-5 if dtype == torch.float32 else 0.05
    return torch.allclose(made, functional.conv2d(x, weight, bias, 2, 1), atol=close)
