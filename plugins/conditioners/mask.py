"""A part of the item itself as conditioning: what is known already, and where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import torch
from annotated_types import Ge, Le, Lt, MinLen
from torch import Tensor

from ...core.errors import ConfigError
from ...core.pipeline.context import CONTEXT, Context

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
        *,
        latent_shape: tuple[int, ...],
    ) -> None:
        if first + keys > 1:
            raise ConfigError(
                f"conditioner mask: first and keys are shares of all items, and make {first + keys:g}; "
                "make it 1 at most"
            )
        if axis >= len(latent_shape) - 1:
            raise ConfigError(f"conditioner mask: axis: items have {len(latent_shape) - 1} axes of space, got {axis}")
        length = latent_shape[1 + axis]
        self._first, self._keys, self._noise, self._guided = first, keys, noise, guided
        self.axis = axis
        self.longest = min(max(1, round(most * length)), length - 1) if first else 0
        self.every: tuple[int, ...] = tuple(every) if keys else ()
        self._shape = latent_shape
        self.outputs: Mapping[str, int] = {"channels": latent_shape[0] + 1}

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

    def shown(self, x0: Tensor, u: Tensor, eps: Tensor) -> dict[str, Tensor]:
        """Return what is shown of items in training, as :meth:`encode` does.

        Args:
            x0: the items (batch, channels, \\*space).
            u: numbers in [0, 1) (batch, 3 or more): which part, how much of it, how much noise.
            eps: standard normal numbers like x0.
        """
        length = x0.shape[2 + self.axis]
        if max(self.every, default=0) >= length:
            raise ConfigError(
                f"conditioner mask: every: key frames {max(self.every)} apart in items of {length}; "
                "take less, or keys = 0"
            )
        line = torch.zeros(len(x0), length)
        for row, (kind, amount, *_) in zip(line, u.tolist(), strict=True):
            if kind < self._first:
                row[: 1 + int(amount * self.longest)] = 1
            elif kind < self._first + self._keys:
                row[:: self.every[int(amount * len(self.every))]] = 1
        shape = [len(x0), 1, *(length if axis == self.axis else 1 for axis in range(x0.ndim - 2))]
        known = line.reshape(shape).expand(-1, -1, *x0.shape[2:]).to(x0)
        noise = (self._noise * u[:, 2]).to(x0).reshape(-1, *(1,) * (x0.ndim - 1))
        return {"channels": _beside(x0, known, eps, noise)}


def _beside(latent: Tensor, known: Tensor, eps: Tensor, noise: Tensor) -> Tensor:
    """Return latents with noise where they are known, and a channel of how much they can be trusted there.

    Args:
        latent: (items, channels, \\*space).
        known: 1 where it is known, 0 elsewhere (items, 1, \\*space).
        eps: like latent.
        noise: share of it, broadcast to ``known``.
    """
    disturbed = torch.sqrt(1 - noise**2) * latent + noise * eps
    return torch.cat([known * disturbed, known * (1 - noise)], 1)
