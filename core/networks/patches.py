"""Patches of positions folded into channels and back, for items of any rank."""

from __future__ import annotations

from collections.abc import Sequence

from einops import rearrange
from torch import Tensor

__all__ = ["fold", "unfold"]

_FOLDS = {
    1: ("batch channels (length p) -> batch (channels p) length", ("p",)),
    2: ("batch channels (height p) (width q) -> batch (channels p q) height width", ("p", "q")),
    3: (
        "batch channels (frames o) (height p) (width q) -> batch (channels o p q) frames height width",
        ("o", "p", "q"),
    ),
}


def fold(x: Tensor, patch: int | Sequence[int]) -> Tensor:
    """Move every patch of positions into the channels.

    Args:
        x: items (batch, channels, \\*space).
        patch: edge of a patch: one for all axes, or one for each.
    """
    pattern, edges = _pattern(x.ndim - 2, patch)
    return rearrange(x, pattern, **edges) if max(edges.values()) > 1 else x


def unfold(x: Tensor, patch: int | Sequence[int]) -> Tensor:
    """Undo :func:`fold`."""
    pattern, edges = _pattern(x.ndim - 2, patch)
    back = " -> ".join(reversed(pattern.split(" -> ")))
    return rearrange(x, back, **edges) if max(edges.values()) > 1 else x


def _pattern(rank: int, patch: int | Sequence[int]) -> tuple[str, dict[str, int]]:
    pattern, names = _FOLDS[rank]
    return pattern, dict(zip(names, [patch] * rank if isinstance(patch, int) else patch, strict=True))
