"""A conditioner: from what a user asks for to tensors that a network understands."""

from __future__ import annotations

import zlib
from typing import Annotated

import torch
from annotated_types import Ge, Le
from torch import nn


class Words(nn.Module):
    """The words of a text, in any order, as a sum of learnt vectors; no vocabulary, words meet in hashed buckets.

    Args:
        buckets: number of vectors; two words in one bucket mean the same.
        width: of the vectors.
    """

    takes = ("text",)  # the wishes that it understands, besides labels; what nobody takes is refused

    def __init__(self, buckets: Annotated[int, Ge(1)] = 256, width: Annotated[int, Ge(1), Le(8192)] = 64) -> None:
        super().__init__()
        self.outputs = {"vector": width}  # what the network is told to expect; "sequence" and "channels" are the others
        self.vectors = nn.Parameter(torch.randn(buckets + 1, width) * 0.5)  # the last one stands for no text

    def encode(self, conditions):
        """Turn the wishes of some items into tensors, one row for each; before anything learnt."""
        counts = torch.zeros(len(conditions), len(self.vectors))
        for row, condition in zip(counts, conditions, strict=True):
            words = str(condition.get("text") or "").lower().split()
            for word in words:
                row[zlib.crc32(word.encode(errors="surrogatepass")) % (len(row) - 1)] += 1
            row[-1] = not words
        return {"counts": counts}

    def forward(self, raw):
        """Turn them into what the network gets."""
        return {"vector": raw["counts"].to(self.vectors) @ self.vectors}

    def null(self, raw):
        """Return the encoding, of the same shape, that asks for nothing; guidance and training need it."""
        counts = torch.zeros_like(raw["counts"])
        counts[:, -1] = 1
        return {"counts": counts}
