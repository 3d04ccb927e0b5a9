"""A network for sets: whatever order the points come in, each is told the same."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated

import torch
from annotated_types import Ge, Le
from noiseform.core.networks.layers import TimeEmbedding, zeroed
from noiseform.core.networks.transformer import CrossAttention, FeedForward, check_heads, spread
from torch import Tensor, nn

__all__ = ["PointTransformer"]


class PointTransformer(nn.Module):
    """A transformer of points without any notion of their order, modulated by time and condition.

    Points do not attend to each other directly but to a few inducing points, learnt vectors that have looked at all of
    them, so that its cost grows with the number of points and not with its square. Each block starts as the identity,
    the output at zero. Any number of points works.

    Args:
        width: of a point inside; a multiple of ``heads``.
        depth: number of blocks.
        heads: of attention.
        inducing: inducing points of a block.
        octaves: of the sines and cosines by which a point's coordinates are told, from one period in ``2 pi`` upwards.
        channels_in: values of a point; given by the program, as all that follows.
        channels_out: values of a point of the output.
        vector_width: of the conditioning vector, or 0.

    Source: Lee et al. 2019, arXiv 1810.00825, section 3.1 (ISAB, the induced set attention block); Peebles and Xie
    2022, arXiv 2212.09748, section 3.2 (adaLN-zero); Chen et al. 2023, arXiv 2310.00426, section 2.3 (one modulation
    for all blocks); Mildenhall et al. 2020, arXiv 2003.08934, equation 4 (sines of coordinates).
    """

    item_ndim = 1  # axes of an item after the channel axis: the points

    def __init__(
        self,
        width: Annotated[int, Ge(8), Le(4096)] = 64,
        depth: Annotated[int, Ge(1), Le(64)] = 4,
        heads: Annotated[int, Ge(1), Le(64)] = 4,
        inducing: Annotated[int, Ge(1), Le(1024)] = 16,
        octaves: Annotated[int, Ge(0), Le(10)] = 4,
        *,
        channels_in: int,
        channels_out: int | None = None,
        vector_width: int = 0,
    ) -> None:
        super().__init__()
        check_heads(width, heads)
        self.octaves = octaves
        self.stem = nn.Linear(channels_in * (1 + 2 * octaves), width)
        self.time = TimeEmbedding(width, features=64)
        self.vector = nn.Linear(vector_width, width) if vector_width else None
        self.modulation = nn.Linear(width, 6 * width)
        self.blocks = nn.ModuleList(_Block(width, heads, inducing) for _ in range(depth))
        self.norm = _plain_norm(width)
        self.own = nn.Parameter(torch.zeros(2, width))  # the last norm's part of the modulation
        self.head = nn.Linear(width, channels_out or channels_in)
        spread(self)
        zeroed(self.modulation)
        zeroed(self.head)

    def forward(self, x: Tensor, time: Tensor, cond: Mapping[str, Tensor]) -> Tensor:
        """Return the output (batch, channels_out, points) for x (batch, channels_in, points), time (batch,).

        Args:
            x: the noisy clouds.
            time: what the prediction tells of the level.
            cond: "vector" (batch, vector_width), only if the network was made for it.
        """
        tokens = self.stem(_told_by_waves(x.transpose(1, 2), self.octaves))
        embedding = self.time(time)
        if self.vector is not None:
            embedding = embedding + self.vector(cond["vector"].to(embedding.dtype))
        modulation = self.modulation(nn.functional.silu(embedding)).unflatten(1, (6, -1))
        for block in self.blocks:
            tokens = block(tokens, modulation)
        shift, scale = (modulation[:, :2] + self.own.to(modulation.dtype)).unsqueeze(2).unbind(1)
        return self.head(_modulated(self.norm(tokens), shift, scale)).transpose(1, 2)


class _Block(nn.Module):
    """Inducing points look at all points, the points look at them; then a feed-forward part."""

    def __init__(self, width: int, heads: int, inducing: int) -> None:
        super().__init__()
        self.own = nn.Parameter(torch.zeros(6, width))  # its own part of the modulation, beside that of all blocks
        self.inducing = nn.Parameter(torch.randn(inducing, width))
        self.norm, self.norm_seen, self.norm_feed = (_plain_norm(width) for _ in range(3))
        self.look = CrossAttention(width, heads, width)
        self.tell = CrossAttention(width, heads, width)
        self.feed = FeedForward(width, 2 * width)

    def forward(self, points: Tensor, modulation: Tensor) -> Tensor:
        """Return like points (batch, point, width), for the modulation of all blocks (batch, 6, width)."""
        parts = (modulation + self.own.to(modulation.dtype)).unsqueeze(2).unbind(1)
        shift, scale, gate, shift_feed, scale_feed, gate_feed = parts
        here = _modulated(self.norm(points), shift, scale)
        asked = self.inducing.to(here.dtype).expand(len(here), -1, -1)
        seen = asked + self.look(asked, here)
        points = points + gate * self.tell(here, self.norm_seen(seen))
        return points + gate_feed * self.feed(_modulated(self.norm_feed(points), shift_feed, scale_feed))


def _plain_norm(width: int) -> nn.LayerNorm:
    return nn.LayerNorm(width, eps=1e-6, elementwise_affine=False)


def _modulated(tokens: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    return tokens * (1 + scale) + shift


def _told_by_waves(x: Tensor, octaves: int) -> Tensor:
    """Return coordinates (..., values) and their sines and cosines at frequencies 1, 2, 4, … (..., more)."""
    frequencies = [math.pow(2, octave) for octave in range(octaves)]
    waves = [wave(x * frequency) for frequency in frequencies for wave in (torch.sin, torch.cos)]
    return torch.cat([x, *waves], -1)
