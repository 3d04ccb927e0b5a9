"""What `spline` knows of the way so far, and how smooth it takes it to be."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from .even_spline import INTEGRATIONS, foretelling, weights

__all__ = ["History", "Reckoned"]

_JUDGED_FROM = 4  # x0 before one that is foretold: from fewer all curves foretell nearly the same
_FADING = 0.5
_FAVOUR = {1: 8.0, 2: 2.0, 3: 1.0}
"""By how much smaller the square of a miss must be than that of a smoother curve. What foretells the next x0 best is
not quite what integrates best: between values that are known a smoother curve gains more than beyond them."""


class Reckoned(NamedTuple):
    """What belongs to one item, or to all that are treated alike.

    Attributes:
        integrations: how smooth x0 is taken to be.
        settled: weight of each x0 in the part of the integral before ``start``.
        applied: weight of each in x / sigma so far.
        misses: square distances of x0 from where each curve foretold it, of INTEGRATIONS; older ones count less.
    """

    integrations: int
    settled: tuple[float, ...] = ()
    applied: tuple[float, ...] = ()
    misses: tuple[float, ...] = (0.0,) * len(INTEGRATIONS)

    def judged(self, missed: Sequence[float]) -> Reckoned:
        """Return this as smooth as what has foretold x0 best."""
        misses = tuple(_FADING * before + now for before, now in zip(self.misses, missed, strict=True))
        told = dict(zip(INTEGRATIONS, misses, strict=True))
        return self._replace(integrations=min(told, key=lambda each: _FAVOUR[each] * told[each]), misses=misses)


class History(NamedTuple):
    """What was learnt on the way, newest last.

    Attributes:
        start: the angle where the integral begins that is still open.
        items: of each row of x, or a single one for all.
        angles: where the network was asked.
        x0: what it said there.
    """

    start: float
    items: tuple[Reckoned, ...]
    angles: tuple[float, ...] = ()
    x0: tuple[Tensor, ...] = ()

    def judged(self, angle: float, x0: Tensor) -> History:
        """Return this with each item as smooth as ``x0``, of a new angle, shows it to be."""
        if len(self.x0) < _JUDGED_FROM or not len(x0):
            return self
        factors = _missing(self.angles, angle, torch.promote_types(x0.dtype, torch.float32), x0.device)
        values = torch.stack((*self.x0, x0)).flatten(2).to(factors.dtype)
        # Row by row, so that no bit of it depends on the batch.
        rows = (values[:, row].contiguous() for row in range(len(x0)))
        missed = [(factors @ row).square().mean(1).tolist() for row in rows]
        return self._replace(items=tuple(map(Reckoned.judged, self.items, missed)))

    def joined_by(self, angle: float, x0: Tensor) -> History:
        """Return this with one x0 more, of which no part of the integral makes use yet."""
        items = tuple(one._replace(settled=(*one.settled, 0.0), applied=(*one.applied, 0.0)) for one in self.items)
        return History(self.start, items, (*self.angles, angle), (*self.x0, x0))

    def integrated(self, end: float, memory: int) -> tuple[History, list[tuple[float, ...]]]:
        """Return this with the integral up to ``end``, and by how much the weight of each x0 changes for it, by item.

        Args:
            end: an angle above 0.
            memory: how many x0 are kept. Where there is one more the oldest goes: the first piece stays as it was known
                before the newest came.
        """
        start = self.angles[1] if len(self.angles) > memory else self.start
        items, changes = [], []
        for one in self.items:
            settled = one.settled
            if start != self.start:
                share = weights(self.angles[:-1], self.start, start, one.integrations)
                settled = tuple(map(sum, zip(settled, (*share, 0.0), strict=True)))
            curve = weights(self.angles[-memory:], start, end, one.integrations)
            open_part = (0.0,) * (len(self.angles) - len(curve)) + curve
            applied = tuple(map(sum, zip(settled, open_part, strict=True)))
            changes.append(tuple(now - before for now, before in zip(applied, one.applied, strict=True)))
            items.append(one._replace(settled=settled, applied=applied))
        return self._replace(start=start, items=tuple(items)), changes

    def at_the_data(self) -> list[tuple[float, ...]]:
        """Return the weight of each x0 in x0 at angle 0, by item."""
        return [weights(self.angles, self.start, 0.0, one.integrations) for one in self.items]

    def forgetting(self, memory: int) -> History:
        """Return this with no more than ``memory`` of the x0, the newest."""
        newest = slice(-memory, None)
        items = tuple(one._replace(settled=one.settled[newest], applied=one.applied[newest]) for one in self.items)
        return History(self.start, items, self.angles[newest], self.x0[newest])


@lru_cache(maxsize=4096)
def _missing(angles: tuple[float, ...], angle: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return the factors of each x0, and of the one at ``angle``, in by how much each curve misses the latter."""
    curves = [(*(-share for share in foretelling(angles, angle, each)), 1.0) for each in INTEGRATIONS]
    return torch.tensor(curves, dtype=dtype, device=device)
