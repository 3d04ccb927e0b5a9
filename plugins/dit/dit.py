"""The diffusion transformer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Le
from torch import Tensor, nn

from ...core.networks.layers import zeroed
from ...core.networks.transformer import CrossAttention, FeedForward, SelfAttention, spread
from .frame import Edge, Frame, modulated, plain_norm

__all__ = ["DiT"]

# Width, depth and heads: table 1 of the paper.
_SIZES = {"S": (384, 12, 6), "B": (768, 12, 12), "L": (1024, 24, 16), "XL": (1152, 28, 16)}


class DiT(nn.Module):
    """A transformer of patches, modulated by time and condition; each block starts as the identity, the output at zero.

    The conditioning vector is added to the embedding of time; to a conditioning sequence every block attends, between
    its attention and its feed-forward part. Any size works: an item is padded at its end to a multiple of ``patch``
    and cropped again. Cost grows with the square of the number of patches.

    Args:
        size: width, depth and heads by the paper's table: S (384, 12, 6), B (768, 12, 12), L (1024, 24, 16), XL (1152,
            28, 16).
        rank: axes of space of an item: 1 for sound, 2 for pictures and spectrograms with an axis of bins, 3 for film.
        patch: edge of a patch: one for all axes, or one for each, such as [1, 2, 2] for films whose frames stay apart.
        width: of a token, in the place of the table's where not 0; a multiple of ``heads``.
        depth: number of blocks, likewise.
        heads: of attention, likewise.
        channels_in: channels of an item.
        channels_out: channels of the output.
        vector_width: width of the conditioning vector, or 0.
        sequence_width: width of the conditioning sequence, or 0.
        extra_channels: channels of conditioning that is laid beside the item, or 0.

    Source: Peebles and Xie 2022, arXiv 2212.09748 (adaLN-zero, table 1); Chen et al. 2023, arXiv 2310.00426, section
    2.3 (cross-attention).
    """

    claims: ClassVar[Mapping[str, object]] = {"parameters": {"width": 48, "depth": 2, "heads": 2}}

    def __init__(
        self,
        size: Literal["S", "B", "L", "XL"] = "S",
        rank: Literal[1, 2, 3] = 2,
        patch: Edge | Sequence[Edge] = 2,
        width: Annotated[int, Ge(0), Le(8192)] = 0,
        depth: Annotated[int, Ge(0), Le(256)] = 0,
        heads: Annotated[int, Ge(0), Le(256)] = 0,
        *,
        channels_in: int,
        channels_out: int | None = None,
        vector_width: int = 0,
        sequence_width: int = 0,
        extra_channels: int = 0,
    ) -> None:
        super().__init__()
        of_table = _SIZES[size]
        width, depth, heads = width or of_table[0], depth or of_table[1], heads or of_table[2]
        self.item_ndim: int = rank
        self.frame = Frame(
            rank,
            patch,
            width,
            channels_in=channels_in + extra_channels,
            channels_out=channels_out or channels_in,
            vector_width=vector_width,
        )
        self.blocks = nn.ModuleList(_Block(width, heads, sequence_width) for _ in range(depth))

    def forward(self, x: Tensor, time: Tensor, cond: Mapping[str, Tensor]) -> Tensor:
        """Return the output (batch, channels_out, \\*space) for x (batch, channels_in, \\*space), time (batch,).

        Args:
            x: the noisy items.
            time: what the prediction tells of the level.
            cond: "vector" (batch, vector_width), "sequence" (batch, length, sequence_width), "sequence_mask"
                (batch, length), "channels" (batch, extra_channels, \\*space); each only if the network was made for it.
        """
        tokens, embedding, counts = self.frame.enter(x, time, cond)
        sequence, mask = cond.get("sequence"), cond.get("sequence_mask")
        if sequence is not None:
            sequence = sequence.to(x.dtype)
        for block in self.blocks:
            tokens = block(tokens, embedding, sequence, mask)
        return self.frame.leave(tokens, embedding, counts, x.shape[2:])


class _Block(nn.Module):
    """Attention and a feed-forward part, each scaled, shifted and gated by the embedding; every gate starts at zero."""

    def __init__(self, width: int, heads: int, sequence_width: int) -> None:
        super().__init__()
        self.modulation = nn.Linear(width, 6 * width)
        self.norm = plain_norm(width)
        self.attention = SelfAttention(width, heads)
        self.norm_cross = plain_norm(width) if sequence_width else None
        self.cross = CrossAttention(width, heads, sequence_width) if sequence_width else None
        self.norm_feed = plain_norm(width)
        self.feed = FeedForward(width)
        spread(self)
        zeroed(self.modulation)
        if self.cross is not None:
            zeroed(self.cross.out)

    def forward(self, tokens: Tensor, embedding: Tensor, sequence: Tensor | None, mask: Tensor | None) -> Tensor:
        shift, scale, gate, shift_feed, scale_feed, gate_feed = self.modulation(embedding).unsqueeze(1).chunk(6, -1)
        tokens = tokens + gate * self.attention(modulated(self.norm(tokens), shift, scale))
        if self.cross is not None and self.norm_cross is not None and sequence is not None:
            tokens = tokens + self.cross(self.norm_cross(tokens), sequence, mask)
        return tokens + gate_feed * self.feed(modulated(self.norm_feed(tokens), shift_feed, scale_feed))
