"""Which items are seen at which step, and every number that is drawn for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ..diffusion.noise import Draws, Key
from ..pipeline.modality import DataSet

__all__ = ["Batch", "Batches"]

_CHANCES = 4


@dataclass(frozen=True)
class Batch:
    """The items of one step.

    Attributes:
        names: of their files.
        media: (batch, channels, \\*space).
        conditions: what describes each.
        u: numbers in [0, 1) (batch,) from which the objective makes its times; spread evenly over the batch.
        chances: numbers in [0, 1) for what each conditioner shows of the items (batch, conditioners, 4).
        drop: for each conditioner, True where an item's condition is left out (batch, conditioners).
        step: from 0.
    """

    names: tuple[str, ...]
    media: Tensor
    conditions: tuple[Mapping[str, object], ...]
    u: Tensor
    chances: Tensor
    drop: Tensor
    step: int
    _keys: tuple[Key, ...]

    def eps(self, shape: tuple[int, ...], purpose: str = "train-noise") -> Tensor:
        """Return the noise of each item (batch, \\*shape), float32; for another purpose other noise."""
        return Draws().normal(self._keys, shape, purpose=purpose, step=self.step)


class Batches:
    """The batches of a training run; ``batch(step)`` depends on nothing that came before.

    Every epoch visits each item once, in an order of its own; a batch may end one epoch and begin the next.

    Args:
        data: the items.
        size: items a step.
        seed: of the order and all other draws.
        dropout: share of items whose conditions are left out, see :class:`~.recipe.TrainingConfig`.
        conditioners: how many there are.
    """

    def __init__(self, data: DataSet, *, size: int, seed: int, dropout: float, conditioners: int) -> None:
        self._data, self._size, self._seed = data, size, seed
        self._dropout, self._conditioners = dropout, conditioners
        self._draws = Draws()
        self._order: tuple[int, Tensor] | None = None

    def batch(self, step: int) -> Batch:
        """Return the batch of a step, counted from 0."""
        seen = range(step * self._size, (step + 1) * self._size)
        keys = tuple(Key(self._seed, item=position) for position in range(self._size))
        draw = self._draws.uniform
        starts = draw(Key(self._seed), (self._size,), purpose="train-window", step=step).tolist()
        indices = [self._item(number) for number in seen]
        media = torch.stack([self._data.item(index, start=at) for index, at in zip(indices, starts, strict=True)])
        # One draw for the batch, shifted by equal parts for its items: the times cover [0, 1) evenly at every step,
        # which takes variance out of the loss (Kingma et al. 2021, arXiv 2107.00630, appendix I.1).
        offset = draw(Key(self._seed), (1,), purpose="train-time", step=step)
        u = (offset + torch.arange(self._size, dtype=torch.float64) / self._size) % 1
        chance = draw(Key(self._seed), (self._size, 1 + self._conditioners), purpose="train-drop", step=step)
        dropped = chance < self._dropout
        return Batch(
            names=tuple(self._data.name(index) for index in indices),
            media=media,
            conditions=tuple(self._data.conditions(index) for index in indices),
            u=u,
            chances=draw(Key(self._seed), (self._size, self._conditioners, _CHANCES), purpose="train-shown", step=step),
            drop=dropped[:, :1] | dropped[:, 1:],
            step=step,
            _keys=keys,
        )

    def torch_seed(self, step: int) -> int:
        """Return the seed of what torch itself draws in a step, such as dropout."""
        draw = self._draws.uniform(Key(self._seed), (1,), purpose="train-torch", step=step)
        return int(draw.item() * 2**53)

    def _item(self, number: int) -> int:
        """Return the index of the item that is seen as ``number`` in the run."""
        epoch, place = divmod(number, len(self._data))
        if self._order is None or self._order[0] != epoch:
            order = self._draws.permutation(Key(self._seed), len(self._data), purpose="train-order", step=epoch)
            self._order = epoch, order
        return int(self._order[1][place])
