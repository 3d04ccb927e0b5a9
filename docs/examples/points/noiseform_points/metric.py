"""How clouds that were made compare with real ones: as sets of sets of points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from .cloud import Cloud

__all__ = ["Chamfer", "chamfer_distances"]


class Chamfer:
    """Quality and variety of clouds by the Chamfer distance, the mean squared distance to the nearest point, both ways.

    Three figures: the distance of a real cloud to the nearest made one, in the mean (minimum matching distance; small
    is good); the share of real clouds that are the nearest one to some made cloud (coverage; large is good); and how
    often the nearest other cloud of all is of the same origin (1-NN accuracy; one half is what nobody can tell apart, 1
    is what everybody can).

    Source: Achlioptas et al. 2018, arXiv 1707.02392, sections 2 (Chamfer distance) and 3 (coverage, minimum matching
    distance); Yang et al. 2019, arXiv 1906.12320, section 5.1 (1-NN accuracy). Here it is the mean over points, not
    the sum.
    """

    modality = "points"
    # Of a set beside itself, for `plugins check`; there 1-NN accuracy is no measure, since every cloud has a twin.
    claims: ClassVar[Mapping[str, object]] = {"best": {"minimum matching distance": 0.0, "coverage": 1.0}}

    def compare(self, made: Sequence[Cloud], real: Sequence[Cloud]) -> Mapping[str, float]:
        """Return the three figures."""
        ours, theirs = [one.points for one in made], [one.points for one in real]
        across = chamfer_distances(ours, theirs)  # (made, real)
        within = chamfer_distances(ours, ours), chamfer_distances(theirs, theirs)
        return {
            "minimum matching distance": across.amin(0).mean().item(),
            "coverage": len(across.argmin(1).unique()) / len(real),
            "1-nn accuracy": _told_apart(across, *within),
        }


def chamfer_distances(some: Sequence[Tensor], others: Sequence[Tensor]) -> Tensor:
    """Return the Chamfer distance of each of some clouds (3, points) to each of others, float64 (some, others).

    ``d(X, Y) = mean over x of min over y |x - y|^2 + mean over y of min over x |x - y|^2``.
    """
    rows = []
    for one in some:
        squares = [torch.cdist(one.T.double(), other.T.double()).square() for other in others]
        rows.append(torch.stack([each.amin(1).mean() + each.amin(0).mean() for each in squares]))
    return torch.stack(rows)


def _told_apart(across: Tensor, within_made: Tensor, within_real: Tensor) -> float:
    """Return how often the nearest other cloud has the same origin."""
    made, real = (own.clone().fill_diagonal_(torch.inf).amin(1) for own in (within_made, within_real))  # but itself
    same = int((made < across.amin(1)).sum()) + int((real < across.amin(0)).sum())
    return same / sum(across.shape)
