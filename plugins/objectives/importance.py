"""Times in proportion to the size of the losses there."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...core.diffusion.objective import EDGE
from ...core.diffusion.process import CompleteProcess

__all__ = ["Importance"]


class Importance(nn.Module):
    """Draws t in proportion to the root mean square of recent losses, and divides losses by the density of their t.

    So the expected loss is the same as with times drawn uniformly, and its gradient varies less. Time is cut into bins
    of equal width; until each has seen as many losses as it keeps, times are drawn uniformly.

    Args:
        bins: how many; a hundred is a choice of taste, where the paper has one for each of its 4000 steps.
        kept: latest losses that a bin remembers.
        floor: share of the times that is drawn uniformly whatever the losses, so that no bin is ever forgotten.

    Source: Nichol and Dhariwal 2021, arXiv 2102.09672, section 3.3, equation 18; the floor is that of their code.
    """

    losses: Tensor
    seen: Tensor

    def __init__(self, bins: int = 100, *, kept: int = 10, floor: float = 0.001) -> None:
        super().__init__()
        self._floor = floor
        self.register_buffer("losses", torch.zeros(bins, kept, dtype=torch.float64))
        self.register_buffer("seen", torch.zeros(bins, dtype=torch.int64))

    def density(self) -> Tensor:
        """Return the density of t in each bin (bins,); its mean is 1."""
        size = self.losses.square().mean(1).sqrt()
        if int(self.seen.min()) < self.losses.shape[1] or not size.sum() > 0:
            return torch.ones_like(size)
        return (1 - self._floor) * size / size.mean() + self._floor

    def forward(self, u: Tensor, process: CompleteProcess) -> Tensor:
        """Return times (batch,) for numbers ``u`` (batch,) drawn uniformly from [0, 1)."""
        u, density = u.to(torch.float64).contiguous(), self.density()
        bins = len(density)
        ends = density.cumsum(0) / bins
        index = torch.searchsorted(ends, u, right=True).clamp(max=bins - 1)
        inside = 1 - (ends[index] - u) * bins / density[index]
        return ((index + inside.clamp(0, 1)) / bins).clamp(EDGE, 1 - EDGE)

    def corrected(self, t: Tensor, losses: Tensor) -> Tensor:
        """Return ``losses`` (batch,) over the density that ``t`` (batch,) was drawn by, and take note of them."""
        bins, kept = self.losses.shape
        index = (t * bins).long().clamp(max=bins - 1)
        over = losses / self.density()[index].to(losses)
        for row, loss in zip(index.tolist(), losses.detach().to("cpu", torch.float64), strict=True):
            self.losses[row, self.seen[row] % kept] = loss
            self.seen[row] += 1
        return over
