"""A part of the item itself as conditioning: what is known already, and where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import torch
from annotated_types import Ge, Le, Lt, MinLen
from torch import Tensor

from ...core.errors import ConfigError
from ...core.pipeline.augmentation import disturbed
from ...core.pipeline.context import CONTEXT, Context
from ...core.pipeline.source import Items

__all__ = ["Mask"]

Share = Annotated[float, Ge(0), Le(1)]


class Mask:
    """Lays the known part of an item beside it, and a channel that says where it is known and how well.

    A model that was trained with it goes on from what is there: films are extended from their last frames, and frames
    are put between key frames. In training some items show their beginning, some show key frames, and the others
    nothing. What is known is disturbed by noise, more or less, and the model is told how much, so that it does not lean
    on fine detail which may be wrong (noise-conditioning augmentation).

    Args:
        first: share of the items in training whose beginning is known.
        keys: share of those whose key frames are known.
        holes: share of those of which all is known but a box somewhere, as in inpainting.
        most: the longest beginning, as a share of the item.
        every: distances between key frames, one of which is drawn for an item.
        noise: the most noise in training, see :class:`~noiseform.core.pipeline.context.Context`.
        axis: of space, along which an item goes on: 0 for films and waveforms, 1 for spectrograms with their bins as an
            axis.
        guided: whether guidance leads away from knowing nothing, as it leads away from no label. Otherwise it leads
            from one to the other with what is known given to both.

    Attributes:
        outputs: ``{"channels": channels of the latent + 1}``.
        axis: along which it has learnt to go on.
        longest: how many positions of a beginning it has been shown at most; 0 where it was shown none.
        every: distances between key frames that it is trained on.

    Source: Blattmann et al. 2023, arXiv 2304.08818, section 3.2 (masks of context, guidance on it); Ho et al. 2021,
    arXiv 2106.15282, section 4 (conditioning augmentation).
    """

    takes = (CONTEXT,)

    def __init__(
        self,
        first: Share = 0.4,
        keys: Share = 0.2,
        most: Annotated[float, Ge(0), Lt(1)] = 0.5,
        every: Annotated[Sequence[Annotated[int, Ge(2), Le(1000)]], MinLen(1)] = (2, 4),
        noise: Annotated[float, Ge(0), Lt(1)] = 0.3,
        axis: Annotated[int, Ge(0), Le(2)] = 0,
        guided: bool = True,
        holes: Share = 0.0,
        *,
        latent_shape: tuple[int, ...],
    ) -> None:
        if first + keys + holes > 1:
            raise ConfigError(
                f"conditioner mask: first, keys and holes are shares of all items, and make {first + keys + holes:g}; "
                "make it 1 at most"
            )
        if axis >= len(latent_shape) - 1:
            raise ConfigError(f"conditioner mask: axis: items have {len(latent_shape) - 1} axes of space, got {axis}")
        length = latent_shape[1 + axis]
        self._first, self._keys, self._holes, self._noise, self._guided = first, keys, holes, noise, guided
        self.axis = axis
        self.longest = min(max(1, round(most * length)), length - 1) if first else 0
        self.every: tuple[int, ...] = tuple(every) if keys else ()
        self._shape = latent_shape
        self.outputs: Mapping[str, int] = {"channels": latent_shape[0] + 1}

    def learnt(self, known: Tensor) -> bool:
        """Return whether training has shown such known parts (\\*space).

        Beginnings along the axis that are not too long, and anything where it has shown holes. Where it has not, what
        is known is held all the same, and the network is not told.
        """
        if self._holes:
            return bool(known.any())
        others = [axis for axis in range(known.ndim) if axis != self.axis]
        some = known.any(others) if others else known
        every = known.all(others) if others else known
        count = int(some.sum())
        return bool((some == every).all()) and bool(some[:count].all()) and 0 < count <= self.longest

    def encode(self, conditions: Sequence[Mapping[str, object]]) -> dict[str, Tensor]:
        """Return {"channels": (items, channels + 1, \\*space)}: zeros for items of which nothing is known."""
        rows = torch.zeros(len(conditions), self._shape[0] + 1, *self._shape[1:])
        for row, condition in zip(rows, conditions, strict=True):
            context = condition.get(CONTEXT)
            if isinstance(context, Context):
                latent, known, eps = (one.cpu() for one in (context.latent, context.known, context.eps))
                noise = torch.tensor(context.noise)
                row.copy_(_beside(latent[None], known[None, None].to(latent), eps[None], noise)[0])
        return {"channels": rows}

    def forward(self, raw: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return it as it is."""
        return dict(raw)

    __call__ = forward

    def null(self, raw: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the encoding of as many items of which nothing is known; the same again where it is not guided."""
        return {"channels": torch.zeros_like(raw["channels"])} if self._guided else dict(raw)

    def shown(self, items: Items) -> dict[str, Tensor]:
        """Return what is shown of items in training, as :meth:`encode` does.

        Three numbers draw it: which part, how much of it, how much noise.
        """
        x0, u = items.x0, items.u
        length = x0.shape[2 + self.axis]
        if max(self.every, default=0) >= length:
            raise ConfigError(
                f"conditioner mask: every: key frames {max(self.every)} apart in items of {length}; "
                "take less, or keys = 0"
            )
        known = torch.zeros(len(x0), 1, *x0.shape[2:]).to(x0)
        for row, (kind, amount, _, place) in zip(known[:, 0], u.tolist(), strict=True):
            line = row.movedim(self.axis, 0)
            if kind < self._first:
                line[: 1 + int(amount * self.longest)] = 1
            elif kind < self._first + self._keys:
                line[:: self.every[int(amount * len(self.every))]] = 1
            elif kind < self._first + self._keys + self._holes:
                row.fill_(1)
                row[_hole(row.shape, amount, place)] = 0
        noise = (self._noise * u[:, 2]).to(x0).reshape(-1, *(1,) * (x0.ndim - 1))
        return {"channels": _beside(x0, known, items.normal(tuple(x0.shape[1:])), noise)}


def _hole(space: Sequence[int], amount: float, place: float) -> tuple[slice, ...]:
    """Return a box in space, of which two numbers in [0, 1) draw the sizes and the places, ten bits for each axis."""
    found = []
    for axis, length in enumerate(space):
        size = 1 + int(amount * 1024**axis % 1 * (length - 1))
        first = int(place * 1024**axis % 1 * (length - size + 1))
        found.append(slice(first, first + size))
    return tuple(found)


def _beside(latent: Tensor, known: Tensor, eps: Tensor, noise: Tensor) -> Tensor:
    """Return latents with noise where they are known, and a channel of how much they can be trusted there.

    Args:
        latent: (items, channels, \\*space).
        known: 1 where it is known, 0 elsewhere (items, 1, \\*space).
        eps: like latent.
        noise: share of it, broadcast to ``known``.
    """
    return known * disturbed(latent, eps, noise)
