"""A transformer over the bytes of texts: what a text conditioner and a joint encoder of texts and media share."""

from __future__ import annotations

import unicodedata
import warnings
import zlib
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from ..errors import ConfigError
from ..naming import printable
from .transformer import Block, check_heads, waves

__all__ = ["TextTransformer"]

_NOTHING = 256  # stands in the first place of an empty text; 0 to 255 are the bytes
_PAD = 257  # fills up to the longest text of the batch; never looked at


class TextTransformer(nn.Module):
    """Texts by their UTF-8 bytes, through a transformer; no text at all has a learnt symbol of its own.

    Runs of white space count as one space, and letters that Unicode writes in two ways as one (NFC).

    Args:
        width: of a place; even, and a multiple of ``heads``.
        depth: number of blocks.
        heads: of attention.
        length: largest number of bytes; a longer text is cut after a whole character, with a warning.
        words: vectors that words are made of besides, or 0 for none. A word is the sum of its own vector and those of
            the 3 to 5 letters that occur in it, each found by a hash.
        of: what reads the texts, for messages.

    Raises:
        ValueError: the width is odd, or no multiple of the heads.

    Source: Xue et al. 2022, arXiv 2105.13626 (bytes instead of words); Vaswani et al. 2017, arXiv 1706.03762; Xiong et
    al. 2020, arXiv 2002.04745 (the norm comes first); Bojanowski et al. 2017, arXiv 1607.04606, section 3.2 (words).
    """

    places: Tensor

    def __init__(self, width: int, depth: int, heads: int, length: int, words: int = 0, *, of: str) -> None:
        super().__init__()
        if width % 2:
            raise ValueError(f"width: expected an even number, got {width}")
        check_heads(width, heads)
        self.length, self._of = length, of
        self.symbols = nn.Parameter(torch.randn(257, width))
        self.register_buffer("places", waves(length, width), persistent=False)
        self.words = nn.Parameter(torch.randn(words, width)) if words else None
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width)

    def read(self, given: Sequence[object]) -> dict[str, Tensor]:
        """Return {"bytes": (items, longest)} of texts, filled up at their ends, and what their words are made of.

        That is "pieces" (items, pieces), hashes of all that an item's words are made of, and "owners" (items, pieces),
        which of its words each is of; "word" (items, longest) is which word each byte is of. -1 is none.

        Args:
            given: the texts; None is no text.

        Raises:
            ConfigError: a text is no text, or cannot be written in UTF-8.
        """
        texts = [self._bytes(text) for text in given]
        longest = max((len(text) for text in texts), default=1)
        rows = torch.full((len(texts), max(1, longest)), _PAD)
        for row, text in zip(rows, texts, strict=True):
            row[: max(1, len(text))] = torch.tensor(list(text) or [_NOTHING])
        if self.words is None:
            return {"bytes": rows}
        return {"bytes": rows, **_words_of(texts, rows.shape[1])}

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
            f"{self._of}: of texts above {self.length} bytes only the start is read; shorten them, or train with "
            "a larger length",
            stacklevel=2,
        )
        return whole[: self.length].decode("utf-8", "ignore").encode()

    def tokens(self, raw: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return a place for each byte (items, longest, width) and where there is one (items, longest)."""
        mask = raw["bytes"] != _PAD
        tokens = self.symbols[raw["bytes"].clamp(max=_NOTHING)]
        tokens = tokens + self.places[: tokens.shape[1]].to(tokens.dtype)
        if self.words is not None:
            tokens = tokens + self._vectors(raw["pieces"], raw["owners"], raw["word"])
        for block in self.blocks:
            tokens = block(tokens, mask)
        return self.norm(tokens), mask

    @staticmethod
    def pooled(tokens: Tensor, mask: Tensor) -> Tensor:
        """Return the mean over the places that there are (items, width)."""
        kept = mask.unsqueeze(-1).to(tokens.dtype)
        return (tokens * kept).sum(1) / kept.sum(1)

    def null(self, raw: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the encoding of as many items without text."""
        rows = torch.full_like(raw["bytes"], _PAD)
        rows[:, 0] = _NOTHING
        nothing = {"bytes": rows}
        return nothing | {name: torch.full_like(raw[name], -1) for name in ("pieces", "owners", "word") if name in raw}

    def _vectors(self, pieces: Tensor, owners: Tensor, word: Tensor) -> Tensor:
        """Return for each byte the vector of its word (items, longest, width), of unit variance as the bytes' own."""
        assert self.words is not None
        there = (owners >= 0).unsqueeze(-1).to(self.words.dtype)
        parts = self.words[pieces.clamp(min=0) % len(self.words)] * there
        owner = owners.clamp(min=0).unsqueeze(-1)
        count = parts.new_zeros(len(word), max(1, int(owners.max()) + 1), 1).scatter_add(1, owner, there)
        total = parts.new_zeros(*count.shape[:2], parts.shape[2]).scatter_add(1, owner.expand_as(parts), parts)
        vectors = total / count.clamp(min=1).sqrt()
        rows = torch.arange(len(word), device=word.device).unsqueeze(1)
        return vectors[rows, word.clamp(min=0)] * (word >= 0).unsqueeze(-1)


def _words_of(texts: Sequence[bytes], longest: int) -> dict[str, Tensor]:
    """Return "pieces", "owners" and "word" of texts, see :meth:`TextTransformer.read`."""
    found: list[tuple[list[int], list[int]]] = []
    word = torch.full((len(texts), longest), -1)
    for item, text in enumerate(texts):
        hashes: list[int] = []
        owners: list[int] = []
        start = 0
        for number, letters in enumerate(text.split(b" ")):
            its = _hashes(letters)
            hashes += its
            owners += [number] * len(its)
            word[item, start : start + len(letters)] = number
            start += len(letters) + 1  # and the space, which is of no word
        found.append((hashes, owners))
    most = max(1, max((len(hashes) for hashes, _ in found), default=1))
    pieces, owner = (torch.full((len(texts), most), -1) for _ in range(2))
    for item, (hashes, owners) in enumerate(found):
        pieces[item, : len(hashes)] = torch.tensor(hashes, dtype=torch.long)
        owner[item, : len(owners)] = torch.tensor(owners, dtype=torch.long)
    return {"pieces": pieces, "owners": owner, "word": word}


def _hashes(word: bytes) -> list[int]:
    """Return hashes of a word, in letters of any case, and of the 3 to 5 letters that occur in it, its ends marked."""
    marked = f"<{word.decode('utf-8', 'replace').lower()}>"
    inside = (marked[at : at + size] for size in (3, 4, 5) for at in range(len(marked) - size + 1))
    return [zlib.crc32(piece.encode()) for piece in dict.fromkeys([marked, *inside])] if word else []
