"""Text by a transformer over its bytes, trained along with the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from annotated_types import Ge, Le
from torch import Tensor

from ...core.networks.text_transformer import TextTransformer

__all__ = ["Text"]


class Text(TextTransformer):
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
        words: vectors that words are made of besides, or 0 for none. A word is the sum of its own vector and those of
            the 3 to 5 letters that occur in it, each found by a hash. With few texts to learn from, telling words apart
            by their bytes alone takes many times as long.

    Attributes:
        outputs: width of each.
        takes: the condition that it understands.

    Source: Xue et al. 2022, arXiv 2105.13626 (bytes instead of words); Vaswani et al. 2017, arXiv 1706.03762; Xiong et
    al. 2020, arXiv 2002.04745 (the norm comes first); Bojanowski et al. 2017, arXiv 1607.04606, section 3.2 (words).
    """

    takes = ("text",)

    def __init__(
        self,
        width: Annotated[int, Ge(8), Le(8192)] = 128,
        depth: Annotated[int, Ge(0), Le(64)] = 3,
        heads: Annotated[int, Ge(1), Le(128)] = 4,
        length: Annotated[int, Ge(1), Le(4096)] = 128,
        outputs: Literal["both", "vector", "sequence"] = "both",
        words: Annotated[int, Ge(0), Le(1_000_000)] = 0,
    ) -> None:
        super().__init__(width, depth, heads, length, words, of="conditioner text")
        kinds = ("vector", "sequence") if outputs == "both" else (outputs,)
        self.outputs: Mapping[str, int] = dict.fromkeys(kinds, width)

    def encode(self, conditions: Sequence[Mapping[str, object]]) -> dict[str, Tensor]:
        """Return the texts of some items as numbers, see :meth:`TextTransformer.read`.

        Raises:
            ConfigError: a text is no text, or cannot be written in UTF-8.
        """
        return self.read([condition.get("text") for condition in conditions])

    def forward(self, raw: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return "vector" (items, width), "sequence" (items, longest, width) and its mask, as ``outputs`` says."""
        tokens, mask = self.tokens(raw)
        given: dict[str, Tensor] = {}
        if "vector" in self.outputs:
            given["vector"] = self.pooled(tokens, mask)
        if "sequence" in self.outputs:
            given |= {"sequence": tokens, "sequence_mask": mask}
        return given
