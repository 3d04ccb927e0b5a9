"""What stands around the blocks of a transformer of patches: items in, items out, and the embedding of time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...core.errors import ConfigError
from ...core.networks.layers import TimeEmbedding, zeroed
from ...core.networks.transformer import spread
from .tokens import from_tokens, positions, to_tokens

__all__ = ["Edge", "Frame", "modulated", "plain_norm"]

Edge = Literal[1, 2, 4, 8]


def plain_norm(width: int) -> nn.LayerNorm:
    """Return the norm of a token's features without scale and shift of its own: the embedding gives those."""
    return nn.LayerNorm(width, eps=1e-6, elementwise_affine=False)


def modulated(tokens: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Return tokens (batch, position, width), those of each item scaled and shifted by its own (batch, 1, width)."""
    return torch.addcmul(shift, tokens, 1 + scale)


class Frame(nn.Module):
    """Patches to tokens and back; time and the conditioning vector to the embedding that modulates the blocks.

    The last layer starts at zero.

    Args:
        rank: axes of space of an item.
        patch: edge of a patch: one for all axes, or one for each.
        width: of a token and of the embedding.
        channels_in: of an item, with all that is laid beside it.
        channels_out: of the output.
        vector_width: of the conditioning vector, or 0.

    Source: Peebles and Xie 2022, arXiv 2212.09748, section 3.2.
    """

    def __init__(
        self,
        rank: int,
        patch: int | Sequence[int],
        width: int,
        *,
        channels_in: int,
        channels_out: int,
        vector_width: int,
    ) -> None:
        super().__init__()
        self.patch = (patch,) * rank if isinstance(patch, int) else tuple(patch)
        if len(self.patch) != rank:
            raise ConfigError(f"patch: one edge, or one for each of {rank} axes of space, got {len(self.patch)}")
        self.width = width
        cell = prod(self.patch)
        self.stem = nn.Linear(channels_in * cell, width)
        self.time = TimeEmbedding(width, features=256)
        self.vector = nn.Linear(vector_width, width) if vector_width else None
        self.norm = plain_norm(width)
        self.modulation = nn.Linear(width, 2 * width)
        self.head = nn.Linear(width, channels_out * cell)
        spread(self)
        zeroed(self.modulation)
        zeroed(self.head)

    def enter(self, x: Tensor, time: Tensor, cond: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, Sequence[int]]:
        """Return tokens (batch, position, width), the embedding (batch, width) and the tokens along each axis."""
        if "channels" in cond:
            x = torch.cat([x, cond["channels"].to(x.dtype)], 1)
        patches, counts = to_tokens(x, self.patch)
        tokens = self.stem(patches)
        embedding = self.time(time)
        if self.vector is not None:
            embedding = embedding + self.vector(cond["vector"].to(embedding.dtype))
        return tokens + positions(counts, self.width, like=tokens), functional.silu(embedding), counts

    def leave(self, tokens: Tensor, embedding: Tensor, counts: Sequence[int], space: Sequence[int]) -> Tensor:
        """Return items (batch, channels_out, \\*space)."""
        shift, scale = self.modulation(embedding).unsqueeze(1).chunk(2, -1)
        patches = self.head(modulated(self.norm(tokens), shift, scale))
        return from_tokens(patches, self.patch, counts, space)
