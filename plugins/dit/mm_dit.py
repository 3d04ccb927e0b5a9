"""The diffusion transformer of two streams: patches and a conditioning sequence, each with weights of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge, Le
from torch import Tensor, nn

from ...core.networks.attention import attend, split
from ...core.networks.layers import zeroed
from ...core.networks.products import Linear
from ...core.networks.transformer import FeedForward, RMSNorm, check_heads, spread
from .frame import Edge, Frame, modulated, plain_norm

__all__ = ["MMDiT"]


class MMDiT(nn.Module):
    """Two streams of tokens, patches and a conditioning sequence, that attend to both together.

    It needs a conditioner that gives a sequence, such as ``text``; a conditioning vector is added to the embedding of
    time. Queries and keys are normalised, which keeps attention from running away in bfloat16. Any size works, as with
    ``dit``; the output starts at zero.

    Args:
        depth: number of blocks.
        rank: axes of space of an item: 1 for sound, 2 for pictures and spectrograms with an axis of bins, 3 for film.
        patch: edge of a patch: one for all axes, or one for each, such as [1, 2, 2] for films whose frames stay apart.
        width: of a token; 64 times the depth where 0, as in the paper. A multiple of ``heads``.
        heads: of attention; one for 64 of the width where 0.
        channels_in: channels of an item.
        channels_out: channels of the output.
        vector_width: width of the conditioning vector, or 0.
        sequence_width: width of the conditioning sequence.
        extra_channels: channels of conditioning that is laid beside the item, or 0.

    Source: Esser et al. 2024, arXiv 2403.03206, section 4 and figure 2; section 5.3.2 (norm of queries and keys).
    """

    claims: ClassVar[Mapping[str, object]] = {"parameters": {"width": 48, "depth": 2, "heads": 2}}

    def __init__(
        self,
        depth: Annotated[int, Ge(1), Le(256)] = 6,
        rank: Literal[1, 2, 3] = 2,
        patch: Edge | Sequence[Edge] = 2,
        width: Annotated[int, Ge(0), Le(8192)] = 0,
        heads: Annotated[int, Ge(0), Le(256)] = 0,
        *,
        channels_in: int,
        channels_out: int | None = None,
        vector_width: int = 0,
        sequence_width: int = 0,
        extra_channels: int = 0,
    ) -> None:
        super().__init__()
        if not sequence_width:
            raise ValueError("no conditioner gives it a sequence to attend to; add one, such as text, or use dit")
        width = width or 64 * depth
        heads = heads or max(1, width // 64)
        self.item_ndim: int = rank
        self.frame = Frame(
            rank,
            patch,
            width,
            channels_in=channels_in + extra_channels,
            channels_out=channels_out or channels_in,
            vector_width=vector_width,
        )
        self.sequence = nn.Linear(sequence_width, width)
        spread(self.sequence)
        self.blocks = nn.ModuleList(_Block(width, heads, last=number == depth - 1) for number in range(depth))

    def forward(self, x: Tensor, time: Tensor, cond: Mapping[str, Tensor]) -> Tensor:
        """Return the output (batch, channels_out, \\*space) for x (batch, channels_in, \\*space), time (batch,).

        Args:
            x: the noisy items.
            time: what the prediction tells of the level.
            cond: "sequence" (batch, length, sequence_width), "sequence_mask" (batch, length), which may be left out;
                "vector" (batch, vector_width), "channels" (batch, extra_channels, \\*space), each only if the network
                was made for it.
        """
        tokens, embedding, counts = self.frame.enter(x, time, cond)
        sequence, mask = self.sequence(cond["sequence"].to(x.dtype)), cond.get("sequence_mask")
        if mask is not None:  # patches are always there
            mask = torch.cat([mask.new_ones(len(x), tokens.shape[1]), mask], 1)
        for block in self.blocks:
            tokens, sequence = block(tokens, sequence, embedding, mask)
        return self.frame.leave(tokens, embedding, counts, x.shape[2:])


class _Stream(nn.Module):
    """What one stream of a block has to itself: its modulation, its attention's weights, its feed-forward part."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        check_heads(width, heads)
        self.heads = heads
        self.modulation = nn.Linear(width, 6 * width)
        self.norm = plain_norm(width)
        self.queries_keys_values = Linear(width, 3 * width)
        self.norm_queries, self.norm_keys = (RMSNorm(width // heads, eps=1e-6) for _ in range(2))
        self.out = Linear(width, width)
        self.norm_feed = plain_norm(width)
        self.feed = FeedForward(width)
        spread(self)
        zeroed(self.modulation)

    def ask(self, tokens: Tensor, shift: Tensor, scale: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values (batch, head, position, width of a head)."""
        told = self.queries_keys_values(modulated(self.norm(tokens), shift, scale))
        queries, keys, values = (split(part, self.heads) for part in told.chunk(3, -1))
        return self.norm_queries(queries), self.norm_keys(keys), values

    def take(self, tokens: Tensor, read: Tensor, gate: Tensor, *feed: Tensor) -> Tensor:
        """Return the tokens changed by what was read; feed: shift, scale and gate of the feed-forward part."""
        tokens = tokens + gate * self.out(read)
        shift, scale, gate_feed = feed
        return tokens + gate_feed * self.feed(modulated(self.norm_feed(tokens), shift, scale))


class _Heard(nn.Module):
    """The sequence's stream in the last block: it is still read but asks no more, since nothing comes after it."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.modulation = nn.Linear(width, 2 * width)
        self.norm = plain_norm(width)
        self.keys_values = nn.Linear(width, 2 * width)
        self.norm_keys = RMSNorm(width // heads, eps=1e-6)
        spread(self)
        zeroed(self.modulation)

    def offer(self, tokens: Tensor, embedding: Tensor) -> tuple[Tensor, Tensor]:
        """Return keys and values (batch, head, position, width of a head)."""
        shift, scale = self.modulation(embedding).unsqueeze(1).chunk(2, -1)
        keys, values = self.keys_values(modulated(self.norm(tokens), shift, scale)).chunk(2, -1)
        return self.norm_keys(split(keys, self.heads)), split(values, self.heads)


class _Block(nn.Module):
    """One attention over the tokens of both streams, patches first."""

    def __init__(self, width: int, heads: int, *, last: bool) -> None:
        super().__init__()
        self.patches = _Stream(width, heads)
        self.sequence = _Heard(width, heads) if last else _Stream(width, heads)

    def forward(
        self, tokens: Tensor, sequence: Tensor, embedding: Tensor, mask: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        shift, scale, *rest = self.patches.modulation(embedding).unsqueeze(1).chunk(6, -1)
        queries, keys, values = self.patches.ask(tokens, shift, scale)
        if isinstance(self.sequence, _Heard):
            more_keys, more_values = self.sequence.offer(sequence, embedding)
            read = attend(queries, torch.cat([keys, more_keys], 2), torch.cat([values, more_values], 2), mask)
            return self.patches.take(tokens, read, *rest), sequence
        shift, scale, *more_rest = self.sequence.modulation(embedding).unsqueeze(1).chunk(6, -1)
        more_queries, more_keys, more_values = self.sequence.ask(sequence, shift, scale)
        queries, keys = torch.cat([queries, more_queries], 2), torch.cat([keys, more_keys], 2)
        read = attend(queries, keys, torch.cat([values, more_values], 2), mask)
        of_patches, of_sequence = read.split([tokens.shape[1], sequence.shape[1]], 1)
        return self.patches.take(tokens, of_patches, *rest), self.sequence.take(sequence, of_sequence, *more_rest)
