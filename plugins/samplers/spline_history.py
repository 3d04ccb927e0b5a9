"""What `spline` knows of the way so far, and how smooth it takes it to be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from .even_spline import INTEGRATIONS, foretelling, weights

__all__ = ["History", "Reckoned"]

_JUDGED_FROM = 4  # x0 before one that is foretold: from fewer all curves foretell nearly the same
_FADING = 0.5
_FAVOUR = (8.0, 2.0, 1.0)
"""By how much smaller the square of a miss must be than that of a smoother curve, of INTEGRATIONS. What foretells the
next x0 best is not quite what integrates best: between values that are known a smoother curve gains more than beyond
them."""

_Weights = tuple[float, ...]


class Reckoned(NamedTuple):
    """What belongs to one item, or to all that are treated alike.

    Attributes:
        integrations: how smooth x0 is taken to be.
        settled: weight of each x0 in the part of the integral before ``start``; the newest may have none yet.
        applied: weight of each in x / sigma so far, likewise.
        misses: square distances of x0 from where each curve foretold it, of INTEGRATIONS; older ones count less.
    """

    integrations: int
    settled: _Weights = ()
    applied: _Weights = ()
    misses: tuple[float, ...] = (0.0,) * len(INTEGRATIONS)

    def judged(self, missed: Sequence[float]) -> Reckoned:
        """Return this as smooth as what has foretold x0 best, given how far from the newest each curve was."""
        misses = tuple([_FADING * before + now * now for before, now in zip(self.misses, missed, strict=True)])
        found, least = INTEGRATIONS[0], math.inf
        for integrations, favour, miss in zip(INTEGRATIONS, _FAVOUR, misses, strict=True):
            if favour * miss < least:
                found, least = integrations, favour * miss
        return Reckoned(found, self.settled, self.applied, misses)


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
        if len(self.x0) < _JUDGED_FROM or not x0.shape[0]:
            return self
        factors = _missing(self.angles, angle, x0.dtype, x0.device)
        values = torch.cat((*self.x0, x0)).reshape(len(self.x0) + 1, -1)
        if values.dtype is not factors.dtype:
            values = values.to(factors.dtype)
        apart = torch.mm(factors, values).view(len(INTEGRATIONS), x0.shape[0], -1)
        missed = zip(*torch.linalg.vector_norm(apart, dim=2).tolist(), strict=True)  # by item
        items = tuple([one.judged(now) for one, now in zip(self.items, missed, strict=True)])
        return History(self.start, items, self.angles, self.x0)

    def joined_by(self, angle: float, x0: Tensor) -> History:
        """Return this with one x0 more, of which no part of the integral makes use yet."""
        return History(self.start, self.items, (*self.angles, angle), (*self.x0, x0))

    def integrated(self, end: float, memory: int) -> tuple[History, list[_Weights]]:
        """Return this with the integral up to ``end``, and by how much the weight of each x0 changes for it, by item.

        Args:
            end: an angle above 0.
            memory: how many x0 are kept. Where there is one more the oldest goes after this change: the first piece
                stays as it was known before the newest came.
        """
        start = self.angles[1] if len(self.angles) > memory else self.start
        items, changes = [], []
        for integrations, settled, applied, misses in self.items:
            settled, applied, change = _moved(
                integrations, settled, applied, self.angles, self.start, start, end, memory
            )
            items.append(Reckoned(integrations, settled[-memory:], applied[-memory:], misses))
            changes.append(change)
        return History(start, tuple(items), self.angles[-memory:], self.x0[-memory:]), changes

    def at_the_data(self, memory: int) -> tuple[list[_Weights], tuple[Tensor, ...]]:
        """Return the weights of the newest x0, no more than ``memory``, in x0 at angle 0, by item, and these x0."""
        angles, x0 = self.angles[-memory:], self.x0[-memory:]
        return [weights(angles, self.start, 0.0, one.integrations) for one in self.items], x0


@lru_cache(maxsize=4096)  # items of a batch, and runs on the same grid, ask for the same
def _moved(
    integrations: int,
    settled: _Weights,
    applied: _Weights,
    angles: tuple[float, ...],
    begun: float,
    start: float,
    end: float,
    memory: int,
) -> tuple[_Weights, _Weights, _Weights]:
    """Return the weights settled up to ``start`` and applied up to ``end``, and by how much the latter change.

    Args:
        integrations: of the item, as are ``settled``, up to ``begun``, and ``applied``.
        settled: see :class:`Reckoned`.
        applied: likewise.
        angles: where the network was asked.
        begun: where the open part of the integral began.
        start: where it begins from now on.
        end: where it ends.
        memory: how many of the angles the open part is taken from.
    """
    unused = (0.0,) * (len(angles) - len(settled))
    settled, applied = settled + unused, applied + unused
    if start != begun:
        share = (*weights(angles[:-1], begun, start, integrations), 0.0)
        settled = tuple(map(sum, zip(settled, share, strict=True)))
    curve = weights(angles[-memory:], start, end, integrations)
    open_part = (0.0,) * (len(angles) - len(curve)) + curve
    now = tuple(map(sum, zip(settled, open_part, strict=True)))
    return settled, now, tuple(after - before for after, before in zip(now, applied, strict=True))


@lru_cache(maxsize=4096)
def _missing(angles: tuple[float, ...], angle: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return the factors of each x0, and of the one at ``angle``, in by how much each curve misses the latter.

    In the dtype of x0, or in float32 where that is a lesser one.
    """
    curves = [(*(-share for share in foretelling(angles, angle, each)), 1.0) for each in INTEGRATIONS]
    with torch.inference_mode(False):  # whoever comes next may want gradients
        return torch.tensor(curves, dtype=torch.promote_types(dtype, torch.float32), device=device)
