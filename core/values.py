"""What is asked of all values of an item, in pieces, so that a large one is not copied."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

__all__ = ["all_finite", "share"]

_PIECE = 2**20  # values: as many as a processor keeps near, and no more memory than one looks at


def all_finite(x: Tensor) -> bool:
    """Return whether no value is infinite or NaN."""
    return all(bool(torch.isfinite(piece).all()) for piece in _pieces(x))


def share(x: Tensor, test: Callable[[Tensor], Tensor]) -> float:
    """Return the share of values for which a test (values -> bool, elementwise) holds; 0 where there are none."""
    found = sum(int(torch.count_nonzero(test(piece))) for piece in _pieces(x))
    return found / max(1, x.numel())


def _pieces(x: Tensor) -> Iterator[Tensor]:
    """Give the values in pieces; what has gaps in memory is copied row by row of its first axis."""
    for row in [x] if x.is_contiguous() else x:
        yield from row.reshape(-1).split(_PIECE)
