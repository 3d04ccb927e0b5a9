"""Building blocks of transformers: tokens (batch, position, width), and how they attend to each other."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from .attention import attend, split
from .products import Linear

__all__ = [
    "Block",
    "CrossAttention",
    "FeedForward",
    "RMSNorm",
    "SelfAttention",
    "check_heads",
    "spread",
    "waves",
]


def check_heads(width: int, heads: int) -> None:
    """Raise ValueError where a width does not split into so many heads."""
    if width % heads:
        raise ValueError(f"width {width} does not split into {heads} heads; make it a multiple of heads")


def spread(module: nn.Module) -> None:
    """Draw the weights of every linear layer evenly, by its width in and out, and set its bias to zero.

    Source: Glorot and Bengio 2010, equation 16.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)


def waves(count: int, features: int) -> Tensor:
    """Return sines, then cosines, of the places 0 to ``count - 1`` as float32 (count, features), on the CPU.

    Args:
        count: number of places.
        features: even; half as many frequencies, from 1 down to near 1 / 10,000 in equal ratios.

    Source: Vaswani et al. 2017, arXiv 1706.03762, section 3.5.
    """
    half = features // 2
    steps, places = (torch.arange(end, dtype=torch.float64, device="cpu") for end in (half, count))
    angles = places.unsqueeze(1) * torch.exp(steps * (-math.log(10_000) / half))
    return torch.cat([angles.sin(), angles.cos()], 1).float()


class SelfAttention(nn.Module):
    """Multi-head attention of tokens to each other.

    Args:
        width: of a token; a multiple of ``heads``.
        heads: number of heads.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        check_heads(width, heads)
        self.heads = heads
        self.queries_keys_values = Linear(width, 3 * width)
        self.out = Linear(width, width)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return like tokens (batch, position, width); mask as for :func:`attend`."""
        queries, keys, values = (split(part, self.heads) for part in self.queries_keys_values(tokens).chunk(3, -1))
        return self.out(attend(queries, keys, values, mask))


class CrossAttention(nn.Module):
    """Multi-head attention of tokens to a sequence of conditioning.

    Args:
        width: of a token; a multiple of ``heads``.
        heads: number of heads.
        sequence_width: of a place of the sequence.
    """

    def __init__(self, width: int, heads: int, sequence_width: int) -> None:
        super().__init__()
        check_heads(width, heads)
        self.heads = heads
        self.queries = Linear(width, width)
        self.keys_values = Linear(sequence_width, 2 * width)
        self.out = Linear(width, width)

    def forward(self, tokens: Tensor, sequence: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return like tokens, for a sequence (batch, length, sequence_width) and its mask (batch, length)."""
        keys, values = (split(part, self.heads) for part in self.keys_values(sequence).chunk(2, -1))
        return self.out(attend(split(self.queries(tokens), self.heads), keys, values, mask))


class FeedForward(nn.Sequential):
    """Two linear layers, GELU (by its tanh approximation) between them.

    Args:
        width: in and out.
        inner: between; 4 times the width where 0.
    """

    def __init__(self, width: int, inner: int = 0) -> None:
        inner = inner or 4 * width
        super().__init__(Linear(width, inner), nn.GELU("tanh"), Linear(inner, width))


class Block(nn.Module):
    """Attention and a feed-forward part, each after a norm and added to what goes in.

    Args:
        width: of a token; a multiple of ``heads``.
        heads: of attention.

    Source: Vaswani et al. 2017, arXiv 1706.03762; Xiong et al. 2020, arXiv 2002.04745 (the norm comes first).
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = SelfAttention(width, heads)
        self.norm_feed = nn.LayerNorm(width)
        self.feed = FeedForward(width)
        spread(self)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return like tokens (batch, position, width); mask as for :func:`attend`."""
        tokens = tokens + self.attention(self.norm(tokens), mask)
        return tokens + self.feed(self.norm_feed(tokens))


class RMSNorm(nn.RMSNorm):
    """Divides features by their root mean square and scales each; its weight follows x into a narrower dtype.

    Source: Zhang and Sennrich 2019, arXiv 1910.07467, equation 4.
    """

    def forward(self, x: Tensor) -> Tensor:
        return functional.rms_norm(x, self.normalized_shape, self.weight.to(x.dtype), self.eps)
