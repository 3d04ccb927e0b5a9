"""Products of matrices on CPUs by oneDNN, which on some processors is twice as fast as the library that torch takes.

Torch multiplies float32 matrices by MKL, which leaves half of the arithmetic of processors by AMD unused; oneDNN, which
torch has for its convolutions, does not. Where rows are many and sums not long, as in a network's layers, each number
is summed in one order however many threads there are; a long sum of few rows oneDNN shares out among them.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["FEW", "Linear", "linear", "multiplies_halves", "product", "quick", "quick_halves"]

FEW = 2**20
"""Multiplications below which torch's own product is the faster one: a call of oneDNN costs ten microseconds."""

_PLAIN = {Tensor, nn.Parameter}
"""What has numbers of its own: kinds that stand for others, or are spread over processes, are left to torch."""


class Linear(nn.Linear):
    """A linear layer by the faster library."""

    def forward(self, x: Tensor) -> Tensor:
        """Return (…, features out) for x (…, features in)."""
        return linear(x, self.weight, self.bias)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return ``x weight^T + bias`` (…, features out).

    Args:
        x: (…, features in).
        weight: (features out, features in).
        bias: (features out,).
    """
    if not quick(x, weight, x.numel() * len(weight)):
        return functional.linear(x, weight, bias)
    if torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad):
        made: Tensor = _Linear.apply(x, weight, bias)  # type: ignore[no-untyped-call]
        return made
    return product(x, weight, bias)


def product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return what :func:`linear` does, by oneDNN and without gradients, where :func:`quick` or its like has said yes.

    The transpose of a matrix is as good a weight as the matrix. What has gaps in memory is copied, or oneDNN would
    take a thousand times as long. Of bfloat16 torch's own product is oneDNN's.
    """
    if x.dtype == torch.bfloat16:
        return functional.linear(x, weight, bias)
    if not (weight.is_contiguous() or weight.T.is_contiguous()):
        weight = weight.contiguous()
    made: Tensor = torch.ops.mkldnn._linear_pointwise(x.contiguous(), weight, bias, "none", [], "")
    return made


def quick(x: Tensor, weight: Tensor, multiplications: int) -> bool:
    """Return whether oneDNN takes such matrices and is the faster one for so many multiplications.

    Not while a network is compiled: the compiler knows torch's own products, and chooses for itself.
    """
    return (
        not torch.compiler.is_compiling()
        and multiplications >= FEW
        and x.dtype == weight.dtype == torch.float32
        and type(x) in _PLAIN
        and type(weight) in _PLAIN
        and x.device.type == weight.device.type == "cpu"
        and not torch.is_autocast_enabled("cpu")
        and _works()
    )


def quick_halves(x: Tensor, weight: Tensor) -> bool:
    """Return whether products of such matrices, of bfloat16, are quicker than torch's fused attention."""
    return (
        not torch.compiler.is_compiling()
        and x.dtype == weight.dtype == torch.bfloat16
        and type(x) in _PLAIN
        and type(weight) in _PLAIN
        and x.device.type == weight.device.type == "cpu"
        and multiplies_halves()
        and _works()
    )


@cache
def multiplies_halves() -> bool:
    """Return whether the processor multiplies bfloat16 itself; on others that is done by way of float32."""
    asked = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, bool)() for name in asked)


@cache
def _works() -> bool:
    """Return whether this torch has the private operator, and it does what is thought of it."""
    x, weight, bias = (torch.linspace(-1, 1, size, dtype=torch.float32, device="cpu") for size in (3 * 5, 2 * 5, 2))
    x, weight = x.reshape(3, 5), weight.reshape(5, 2).T
    with torch.no_grad(), torch.autocast("cpu", enabled=False):
        try:
            return torch.allclose(product(x, weight, bias), functional.linear(x, weight, bias), atol=1e-6)
        except (AttributeError, RuntimeError, TypeError):
            return False


class _Linear(torch.autograd.Function):
    """A linear layer that learns. The gradient of its weight is torch's own product, which needs no transposed copy."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.save_for_backward(x, weight)
        return product(x, weight, bias)

    @staticmethod
    def backward(ctx, gradient: Tensor):  # type: ignore[no-untyped-def]
        x, weight = ctx.saved_tensors
        of_x, of_weight, of_bias = ctx.needs_input_grad
        rows = gradient.flatten(0, -2)
        return (
            linear(gradient, weight.T) if of_x else None,
            rows.T @ x.flatten(0, -2) if of_weight else None,
            rows.sum(0) if of_bias else None,
        )
