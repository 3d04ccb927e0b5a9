"""Items as tokens, one for each patch, and back."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional

from ...core.networks.patches import fold, unfold
from ...core.networks.transformer import waves

__all__ = ["from_tokens", "positions", "to_tokens"]


def to_tokens(x: Tensor, patch: Sequence[int]) -> tuple[Tensor, tuple[int, ...]]:
    """Return the patches of items (batch, channels, \\*space) as tokens, and how many there are along each axis.

    Sizes that are no multiple of the patch, which has an edge for each axis, are filled up with zeros at their end.
    """
    short = [-size % edge for size, edge in zip(x.shape[2:], patch, strict=True)]
    if any(short):
        x = functional.pad(x, [end for size in reversed(short) for end in (0, size)])
    patches = fold(x, patch)
    return rearrange(patches, "batch features ... -> batch (...) features"), tuple(patches.shape[2:])


def from_tokens(tokens: Tensor, patch: Sequence[int], counts: Sequence[int], space: Sequence[int]) -> Tensor:
    """Undo :func:`to_tokens`: return items of the sizes ``space``."""
    patches = rearrange(tokens, "batch token features -> batch features token")
    x = unfold(patches.unflatten(2, tuple(counts)), patch)
    for axis, size in enumerate(space, start=2):
        x = x.narrow(axis, 0, size)
    return x


def positions(counts: Sequence[int], width: int, *, like: Tensor) -> Tensor:
    """Return where each token stands (token, width): sines and cosines of its place along each axis.

    Each axis has an equal share of the width, the last axis the first share, as in the published weights of DiT; what
    does not divide evenly stays zero.

    Args:
        counts: tokens along each axis.
        width: of a token.
        like: gives dtype and device.
    """
    share = width // (2 * len(counts)) * 2
    parts = []
    for axis, count in reversed(list(enumerate(counts))):
        shape = [1] * len(counts) + [share]
        shape[axis] = count
        parts.append(waves(count, share).to(like).reshape(shape).expand(*counts, share))
    whole = torch.cat(parts, -1).reshape(prod(counts), -1)
    return functional.pad(whole, (0, width - whole.shape[1]))
