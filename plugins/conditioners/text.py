"""Text by a transformer over its bytes, trained along with the network."""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Le
from torch import Tensor, nn

from ...core.errors import ConfigError
from ...core.naming import printable
from ...core.networks.transformer import FeedForward, SelfAttention, check_heads, spread, waves

__all__ = ["Text"]

_NOTHING = 256  # stands in the first place of an empty text; 0 to 255 are the bytes
_PAD = 257  # fills up to the longest text of the batch; never looked at


class Text(nn.Module):
    """A text (``--prompt``, captions) by its UTF-8 bytes, through a small transformer that learns with the network.

    It needs no download and knows every script. Runs of white space count as one space, and letters that Unicode writes
    in two ways as one (NFC). No text at all, which guidance compares with, has a learnt vector of its own.

    Args:
        width: of the vector and of the sequence.
        depth: number of blocks.
        heads: of attention; the width must be a multiple.
        length: largest number of bytes; a longer text is cut after a whole character, with a warning.
        outputs: "vector" for the mean over the text, "sequence" for a place for each byte, or "both". A network without
            attention to a sequence takes "vector" only.

    Attributes:
        outputs: width of each.
        takes: the condition that it understands.

    Source: Xue et al. 2022, arXiv 2105.13626 (bytes instead of words); Vaswani et al. 2017, arXiv 1706.03762; Xiong et
    al. 2020, arXiv 2002.04745 (the norm comes first).
    """

    takes = ("text",)
    places: Tensor

    def __init__(
        self,
        width: Annotated[int, Ge(8), Le(8192)] = 128,
        depth: Annotated[int, Ge(0), Le(64)] = 3,
        heads: Annotated[int, Ge(1), Le(128)] = 4,
        length: Annotated[int, Ge(1), Le(4096)] = 128,
        outputs: Literal["both", "vector", "sequence"] = "both",
    ) -> None:
        super().__init__()
        if width % 2:
            raise ValueError(f"width: expected an even number, got {width}")
        check_heads(width, heads)
        self.length = length
        kinds = ("vector", "sequence") if outputs == "both" else (outputs,)
        self.outputs: Mapping[str, int] = dict.fromkeys(kinds, width)
        self.symbols = nn.Parameter(torch.randn(257, width))
        self.register_buffer("places", waves(length, width), persistent=False)
        self.blocks = nn.ModuleList(_Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width)

    def encode(self, conditions: Sequence[Mapping[str, object]]) -> dict[str, Tensor]:
        """Return {"bytes": (items, longest)} of the texts, filled up at their ends.

        Raises:
            ConfigError: a text is no text, or cannot be written in UTF-8.
        """
        texts = [self._bytes(condition.get("text")) for condition in conditions]
        longest = max((len(text) for text in texts), default=1)
        rows = torch.full((len(texts), max(1, longest)), _PAD)
        for row, text in zip(rows, texts, strict=True):
            row[: max(1, len(text))] = torch.tensor(list(text) or [_NOTHING])
        return {"bytes": rows}

    def _bytes(self, text: object) -> bytes:
        """Return a text as bytes, no more than there may be."""
        if not isinstance(text, str | None):
            raise ConfigError(f"text: expected a text, got {type(text).__name__}; write it in quotes")
        plain = unicodedata.normalize("NFC", " ".join((text or "").split()))
        try:
            whole = plain.encode("utf-8")
        except UnicodeEncodeError as error:
            raise ConfigError(f"text: {printable(plain, 60)} is not Unicode; write it in UTF-8") from error
        if len(whole) <= self.length:
            return whole
        warnings.warn(
            f"conditioner text: of texts above {self.length} bytes only the start is read; shorten them, or train with "
            "a larger length",
            stacklevel=2,
        )
        return whole[: self.length].decode("utf-8", "ignore").encode()

    def forward(self, raw: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return "vector" (items, width), "sequence" (items, longest, width) and its mask, as ``outputs`` says."""
        mask = raw["bytes"] != _PAD
        tokens = self.symbols[raw["bytes"].clamp(max=_NOTHING)]
        tokens = tokens + self.places[: tokens.shape[1]].to(tokens.dtype)
        for block in self.blocks:
            tokens = block(tokens, mask)
        tokens = self.norm(tokens)
        given: dict[str, Tensor] = {}
        if "vector" in self.outputs:
            kept = mask.unsqueeze(-1).to(tokens.dtype)
            given["vector"] = (tokens * kept).sum(1) / kept.sum(1)
        if "sequence" in self.outputs:
            given |= {"sequence": tokens, "sequence_mask": mask}
        return given

    def null(self, raw: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the encoding of as many items without text."""
        rows = torch.full_like(raw["bytes"], _PAD)
        rows[:, 0] = _NOTHING
        return {"bytes": rows}


class _Block(nn.Module):
    """Attention and a feed-forward part, each after a norm and added to what goes in."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = SelfAttention(width, heads)
        self.norm_feed = nn.LayerNorm(width)
        self.feed = FeedForward(width)
        spread(self)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        tokens = tokens + self.attention(self.norm(tokens), mask)
        return tokens + self.feed(self.norm_feed(tokens))
