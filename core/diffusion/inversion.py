"""Items taken back to the noise that a deterministic sampler makes them from."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from .level import Level
from .sampling import Denoise

__all__ = ["between", "inverted"]

_ITERATIONS = 4
"""Of the fixed point of each step; its error falls by about the step's own size each time."""


def inverted(denoise: Denoise, x0: Tensor, levels: Sequence[Level[float]]) -> Tensor:
    """Return the noise (batch, \\*item) at the first level from which Euler's steps along the levels lead to items.

    Each step is undone by a fixed point, so that the same steps lead back to the item, up to what the last of them,
    from the smallest noise to none, leaves open.

    Args:
        denoise: the model.
        x0: clean items (batch, \\*item).
        levels: from noise to data, the last one without noise.

    Source: Song et al. 2021, arXiv 2010.02502, section 4.3 (inversion); Pan et al. 2023, arXiv 2309.04907, section 3.2
    (by a fixed point).
    """
    x = levels[-2].alpha * x0
    for here, next in pairwise(levels[-2::-1]):  # from the level `here` to the noisier `next`
        ratio = here.sigma / next.sigma  # a sampler's step would lead from next to here
        rest = here.alpha - ratio * next.alpha
        guess, moved = x, x.new_full((len(x),), torch.inf)
        for _ in range(_ITERATIONS):
            better = torch.add(x, denoise(guess, next), alpha=-rest) / ratio
            step = (better - guess).flatten(1).norm(dim=1)
            # Where the steps are too long the iteration moves away: what it had before is nearer.
            nearer = (step < moved).reshape(-1, *(1,) * (x.ndim - 1))
            guess, moved = torch.where(nearer, better, guess), torch.minimum(step, moved)
        x = guess
    return x


def between(first: Tensor, second: Tensor, share: float) -> Tensor:
    """Return noise between two of them (batch, \\*item) along the arc, of as much strength as they have.

    Source: Shoemake 1985 (spherical linear interpolation); Song et al. 2021, arXiv 2010.02502, appendix D.5.
    """
    one, other = first.flatten(1), second.flatten(1)
    cosine = torch.nn.functional.cosine_similarity(one, other, dim=1).clamp(-1, 1)
    angle = torch.arccos(cosine)
    sine = torch.sin(angle)
    near = sine < 1e-4  # of the same or opposite direction the arc is a line
    of_first = torch.where(near, 1 - share, torch.sin((1 - share) * angle) / sine)
    of_second = torch.where(near, share, torch.sin(share * angle) / sine)
    shape = (-1, *(1,) * (first.ndim - 1))
    return of_first.reshape(shape) * first + of_second.reshape(shape) * second
