"""Decoding piece by piece: tiles of a picture, chunks of a film, each with what it sees of its neighbours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from torch import Tensor

from ...core.media import box

__all__ = ["Tiling"]

Ends = tuple[int, int]


@dataclass(frozen=True)
class Tiling:
    """How latents are cut into tiles that are decoded one at a time, so that memory is that of a tile.

    A tile is decoded with a margin of its neighbourhood, which is then cut off: where the margin is as wide as a
    decoder sees, the seams are exact.

    Attributes:
        tile: positions of the latent in a tile, along each axis.
        margin: positions of the latent around it, along each axis.
        stride: positions of an item for one of the latent, along each axis.
    """

    tile: tuple[int, ...]
    margin: tuple[int, ...]
    stride: tuple[int, ...]

    def decoded(self, latent: Tensor, media_shape: Sequence[int], decode: Callable[[Tensor], Tensor]) -> Tensor:
        """Return media (batch, \\*media_shape) for latents (batch, channels, \\*space), decoded by ``decode``."""
        space = latent.shape[2:]
        if all(size <= tile for size, tile in zip(space, self.tile, strict=True)):
            return decode(latent)[box(slice(size) for size in media_shape[1:])]
        x = latent.new_empty(len(latent), *media_shape)
        for inner, outer in self._tiles(space):
            decoded = decode(latent[box(slice(*ends) for ends in outer)])
            target, source = [], []
            for (first, last), (start, _), stride, size in zip(inner, outer, self.stride, x.shape[2:], strict=True):
                begin, end = first * stride, min(last * stride, size)
                target.append(slice(begin, end))
                source.append(slice(begin - start * stride, end - start * stride))
            x[box(target)] = decoded[box(source)]
        return x

    def _tiles(self, space: Sequence[int]) -> Iterator[tuple[tuple[Ends, ...], tuple[Ends, ...]]]:
        """Give for each tile its ends along each axis, and the ends of what has to be decoded for it."""
        starts = [range(0, size, tile) for size, tile in zip(space, self.tile, strict=True)]
        for first in product(*starts):
            along = zip(first, self.tile, self.margin, space, strict=True)
            ends = [(begin, min(begin + tile, size), margin, size) for begin, tile, margin, size in along]
            inner = tuple((begin, end) for begin, end, _, _ in ends)
            outer = tuple((max(0, begin - margin), min(end + margin, size)) for begin, end, margin, size in ends)
            yield inner, outer
