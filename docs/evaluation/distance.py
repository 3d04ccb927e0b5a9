"""Distances between sets of clips in the listener's features: Fréchet, diversity within a class, nearest neighbours.

A Fréchet distance of finite sets is too large, and the more so the smaller they are, so it is only ever compared at
equal sizes: as many clips of each of the 60 classes on both sides, drawn several times.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["balanced_draw", "common_size", "diversity", "drawn_frechet", "frechet", "nearest"]


def _root(matrix: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * values.clamp(min=0).sqrt()) @ vectors.T


def frechet(left: Tensor, right: Tensor) -> float:
    """``|mean - mean|² + tr(C + C' - 2 (C C')^(1/2))`` of two sets of features ``(clips, width)``.

    Source: Heusel et al. 2017, arXiv 1706.08500, eq. 6.
    """
    left, right = left.double(), right.double()
    first, second = left.T.cov(), right.T.cov()
    half = _root(first)
    cross = _root(half @ second @ half).trace()
    return ((left.mean(0) - right.mean(0)).square().sum() + first.trace() + second.trace() - 2 * cross).item()


def balanced_draw(classes: Tensor, each: int, generator: torch.Generator) -> Tensor:
    """Indices of ``each`` random rows of every class that occurs in ``classes`` ``(clips,)``."""
    order = torch.randperm(len(classes), generator=generator)
    shuffled = classes[order]
    return torch.cat([order[shuffled == name][:each] for name in classes.unique()])


def common_size(*classes: Tensor) -> int:
    """How many clips of every class each of the sets has: the largest size of a balanced draw from all of them."""
    return min(int(names.unique(return_counts=True)[1].min()) for names in classes)


def drawn_frechet(
    features: Tensor,
    classes: Tensor,
    reference: Tensor,
    reference_classes: Tensor,
    *,
    each: int,
    draws: int = 20,
    within: bool = False,
) -> tuple[float, float]:
    """Mean and standard deviation of the Fréchet distance between balanced draws of equal size from two sets.

    Args:
        features: ``(clips, width)``, and ``classes``, ``(clips,)``.
        reference: the other set, and ``reference_classes``.
        each: how many clips of every class are drawn from either side; both must have them (``common_size``).
        draws: how many times.
        within: take off each class's mean in the draw first. The plain distance is ruled by how classes differ, and
            stays small even for one clip of each class over and over; this one does not.
    """
    generator = torch.Generator().manual_seed(0)

    def draw(rows: Tensor, names: Tensor) -> Tensor:
        index = balanced_draw(names, each, generator)
        return around_class(rows[index], names[index]) if within else rows[index]

    found = torch.tensor([frechet(draw(features, classes), draw(reference, reference_classes)) for _ in range(draws)])
    return found.mean().item(), found.std().item()


def around_class(features: Tensor, classes: Tensor) -> Tensor:
    """Features less the mean of their own class: what is left is how the clips of one class differ."""
    rows, present = classes.unique(return_inverse=True)
    total = features.new_zeros(len(rows), features.shape[1]).index_add_(0, present, features)
    return features - (total / present.bincount()[:, None])[present]


def diversity(features: Tensor, classes: Tensor) -> float:
    """Mean distance of two different clips of one class, over the classes that have two."""
    means = []
    for name in classes.unique():
        own = features[classes == name]
        if len(own) > 1:
            means.append(torch.pdist(own).mean())
    return torch.stack(means).mean().item()


def nearest(features: Tensor, classes: Tensor, others: Tensor, other_classes: Tensor) -> Tensor:
    """Distance of each row to the nearest of ``others`` of its own class: ``(clips,)``; 0 is a copy."""
    distance = torch.cdist(features.double(), others.double(), compute_mode="donot_use_mm_for_euclid_dist")
    return distance.masked_fill(classes[:, None] != other_classes[None, :], torch.inf).amin(1)
