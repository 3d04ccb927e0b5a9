"""The diffusion prior: a transformer that makes an embedding of what a text says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Le
from torch import Tensor, nn

from ...core.networks.layers import TimeEmbedding, zeroed
from ...core.networks.transformer import Block, spread

__all__ = ["Prior"]


class Prior(nn.Module):
    """A transformer over what is known of an embedding, each as a token; the answer is read off the last one.

    The tokens are those of the conditioning sequence, the conditioning vector, the time, the noisy embedding, and a
    learnt query; all attend to all. The output starts at zero.

    Args:
        width: of a token; a multiple of ``heads``.
        depth: number of blocks.
        heads: of attention.
        channels_in: features of an embedding.
        channels_out: of the output.
        vector_width: width of the conditioning vector, or 0.
        sequence_width: width of the conditioning sequence, or 0.

    Source: Ramesh et al. 2022, arXiv 2204.06125, section 2.2. There attention is causal, which a query that stands last
    has no need of.
    """

    item_ndim = 0
    claims: ClassVar[Mapping[str, object]] = {"parameters": {"width": 32, "depth": 2, "heads": 2}}

    def __init__(
        self,
        width: Annotated[int, Ge(8), Le(8192)] = 256,
        depth: Annotated[int, Ge(1), Le(256)] = 6,
        heads: Annotated[int, Ge(1), Le(256)] = 4,
        *,
        channels_in: int,
        channels_out: int | None = None,
        vector_width: int = 0,
        sequence_width: int = 0,
    ) -> None:
        super().__init__()
        self.time = TimeEmbedding(width, features=256)
        self.embedding = nn.Linear(channels_in, width)
        self.vector = nn.Linear(vector_width, width) if vector_width else None
        self.sequence = nn.Linear(sequence_width, width) if sequence_width else None
        self.kinds = nn.Parameter(torch.randn(4, width))  # what tells vector, time, embedding and query apart
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, channels_out or channels_in)
        spread(self)
        zeroed(self.head)

    def forward(self, x: Tensor, time: Tensor, cond: Mapping[str, Tensor]) -> Tensor:
        """Return the output (batch, channels_out) for x (batch, channels_in), time (batch,).

        Args:
            x: the noisy embeddings.
            time: what the prediction tells of the level.
            cond: "vector" (batch, vector_width), "sequence" (batch, length, sequence_width), "sequence_mask"
                (batch, length); each only if the network was made for it.
        """
        vector, clock, noisy, query = self.kinds.to(x.dtype)
        single = [self.time(time).to(x.dtype) + clock, self.embedding(x) + noisy, query.expand(len(x), -1)]
        if self.vector is not None:
            single.insert(0, self.vector(cond["vector"].to(x.dtype)) + vector)
        tokens, mask = torch.stack(single, 1), None
        if self.sequence is not None:
            sequence = self.sequence(cond["sequence"].to(x.dtype))
            there = cond.get("sequence_mask")
            if there is not None:  # the others are always there
                mask = torch.cat([there, there.new_ones(tokens.shape[:2])], 1)
            tokens = torch.cat([sequence, tokens], 1)
        for block in self.blocks:
            tokens = block(tokens, mask)
        return self.head(self.norm(tokens[:, -1]))
