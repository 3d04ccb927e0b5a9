"""Items larger than what a model sees at a time: made in overlapping tiles, each fading into its neighbours.

Tiles share the noise of the places that they share, so that a deterministic sampler makes nearly the same of them
there; what difference is left is spread over the overlap.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from ..diffusion.noise import Draws, Key
from ..media import box

__all__ = ["Tiles"]

_SHARED = 8  # of a tile along each axis one part in so many is shared with each neighbour


@dataclass(frozen=True)
class Tiles:
    """Tiles that cover an item, each of the size of a window, in a grid whose last ones are moved inside.

    Attributes:
        whole: positions of the item along each axis of space; at least those of the window.
        window: positions of a tile.
        unit: tiles begin at multiples of these.
    """

    whole: tuple[int, ...]
    window: tuple[int, ...]
    unit: tuple[int, ...]

    @property
    def steps(self) -> tuple[int, ...]:
        """From the beginning of one tile to that of the next along each axis."""
        along = zip(self.window, self.unit, strict=True)
        return tuple(max(unit, (size - size // _SHARED) // unit * unit) for size, unit in along)

    @property
    def starts(self) -> tuple[tuple[int, ...], ...]:
        """Where tiles begin along each axis."""
        found = []
        for whole, size, step in zip(self.whole, self.window, self.steps, strict=True):
            regular = range(0, whole - size, step)
            found.append((*regular, whole - size))
        return tuple(found)

    def __len__(self) -> int:
        return math.prod(map(len, self.starts))

    def __iter__(self) -> Iterator[tuple[int, ...]]:
        """Give the beginning of each tile."""
        return product(*self.starts)

    def weights(self, start: Sequence[int]) -> Tensor:
        """Return the share of a tile in the item (\\*window): those of all tiles make 1 everywhere."""
        shares = torch.ones(())
        for axis, first in enumerate(start):
            own = self._rise(first, axis)
            total = sum((self._rise(other, axis, first) for other in self.starts[axis]), torch.zeros(()))
            shares = shares.unsqueeze(-1) * (own / total).to(torch.float32)
        return shares

    def _rise(self, first: int, axis: int, seen_from: int | None = None) -> Tensor:
        """Return how much a tile counts at the positions of one (itself, or that which begins at ``seen_from``).

        It rises over the positions that it shares with its neighbours, is flat between, and 0 beyond its ends.
        """
        size = self.window[axis]
        ramp = max(1, size - self.steps[axis])
        place = torch.arange(size, dtype=torch.float64) + (first if seen_from is None else seen_from) - first
        inside = (place >= 0) & (place < size)
        rise = torch.minimum(place + 1, size - place).clamp(max=ramp) / ramp
        return torch.where(inside, rise, 0.0)

    def noise(self, keys: Sequence[Key], channels: int, start: Sequence[int], ratio: Sequence[int]) -> Tensor:
        """Return standard normal numbers for a tile (items, channels, \\*window / ratio), the same at the same place.

        Args:
            keys: of the items.
            channels: of their latents.
            start: of the tile.
            ratio: positions of the item for one of the latent along each axis.
        """
        cells = tuple(step // part for step, part in zip(self.steps, ratio, strict=True))
        first = tuple(begin // part for begin, part in zip(start, ratio, strict=True))
        sizes = tuple(size // part for size, part in zip(self.window, ratio, strict=True))
        counts = [-(-whole // part // cell) for whole, part, cell in zip(self.whole, ratio, cells, strict=True)]
        made = torch.empty(len(keys), channels, *sizes)
        touched = [
            range(begin // cell, (begin + size - 1) // cell + 1)
            for begin, size, cell in zip(first, sizes, cells, strict=True)
        ]
        draws = Draws()
        for cell in product(*touched):
            number = 0
            for place, count in zip(cell, counts, strict=True):
                number = number * (count + 1) + place
            drawn = draws.normal(keys, (channels, *cells), purpose="prior-cell", step=number)
            into, out_of = [], []
            for place, begin, size, edge in zip(cell, first, sizes, cells, strict=True):
                low, high = max(place * edge, begin), min((place + 1) * edge, begin + size)
                into.append(slice(low - begin, high - begin))
                out_of.append(slice(low - place * edge, high - place * edge))
            made[box(into)] = drawn[box(out_of)]
        return made
