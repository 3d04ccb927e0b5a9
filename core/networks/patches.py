"""Patches of positions folded into channels and back, for items of any rank."""

from __future__ import annotations

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


def fold(x: Tensor, patch: int) -> Tensor:
    """Move every patch of positions, ``patch`` along each axis, into the channels."""
    if patch == 1:
        return x
    pattern, names = _FOLDS[x.ndim - 2]
    return rearrange(x, pattern, **dict.fromkeys(names, patch))


def unfold(x: Tensor, patch: int) -> Tensor:
    """Undo :func:`fold`."""
    if patch == 1:
        return x
    pattern, names = _FOLDS[x.ndim - 2]
    back = " -> ".join(reversed(pattern.split(" -> ")))
    return rearrange(x, back, **dict.fromkeys(names, patch))
