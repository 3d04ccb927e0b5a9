"""Which items are seen at which step, and every number that is drawn for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Thread

import torch
from torch import Tensor

from ..diffusion.noise import Draws, Key
from ..pipeline.modality import DataSet

__all__ = ["Batch", "Batches"]

_CHANCES = 4


@dataclass(frozen=True)
class Batch:
    """The items of one step, on the CPU; who learns from them moves what is needed to where the model lies.

    Attributes:
        names: of their files.
        media: (batch, channels, \\*space).
        conditions: what describes each.
        u: numbers in [0, 1) (batch,) from which the objective makes its times; spread evenly over the batch.
        chances: numbers in [0, 1) for what each conditioner shows of the items (batch, conditioners, 4).
        drop: for each conditioner, True where an item's condition is left out (batch, conditioners).
        step: from 0.
        device: where the model lies.
    """

    names: tuple[str, ...]
    media: Tensor
    conditions: tuple[Mapping[str, object], ...]
    u: Tensor
    chances: Tensor
    drop: Tensor
    step: int
    device: str
    _keys: tuple[Key, ...]

    def eps(self, shape: tuple[int, ...], purpose: str = "train-noise") -> Tensor:
        """Return the noise of each item (batch, \\*shape), float32, on the device; for another purpose other noise."""
        return Draws().normal(self._keys, shape, purpose=purpose, step=self.step, device=self.device)


class Batches:
    """The batches of a training run; ``batch(step)`` depends on nothing that came before.

    Every epoch visits each item once, in an order of its own; a batch may end one epoch and begin the next.

    Args:
        data: the items.
        size: items a step.
        seed: of the order and all other draws.
        dropout: share of items whose conditions are left out, see :class:`~.recipe.TrainingConfig`.
        conditioners: how many there are.
        device: where the model is trained.
    """

    def __init__(
        self, data: DataSet, *, size: int, seed: int, dropout: float, conditioners: int, device: str = "cpu"
    ) -> None:
        self._data, self._size, self._seed = data, size, seed
        self._dropout, self._conditioners = dropout, conditioners
        self._device = device
        self._draws = Draws()
        self._order: tuple[int, Tensor] | None = None
        self._ahead: _Reading | None = None
        self._last = 0

    def read_ahead(self, last: int) -> None:
        """Read the batch of the next step, of fewer than ``last``, in a thread while this one is learnt from.

        Only where the model lies on another device: the CPU has enough to do otherwise.
        """
        self._last = 0 if torch.device(self._device).type == "cpu" else last

    def batch(self, step: int) -> Batch:
        """Return the batch of a step, counted from 0."""
        ahead, self._ahead = self._ahead, None
        batch = ahead.batch() if ahead is not None and ahead.step == step else self._read(step)
        if step + 1 < self._last:
            self._ahead = _Reading(self._read, step + 1)
        return batch

    def wait(self) -> None:
        """Return once nobody reads the data any more, who might be in the way of others that do."""
        if self._ahead is not None:
            self._ahead.join()

    def _read(self, step: int) -> Batch:
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
            device=self._device,
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


class _Reading(Thread):
    """The reading of a step's batch, which ends with the program at the latest.

    Args:
        read: returns the batch of a step.
        step: whose.
    """

    def __init__(self, read: Callable[[int], Batch], step: int) -> None:
        super().__init__(name="noiseform-reading", daemon=True)
        self.step = step
        self._read = read
        self._found: Batch | Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            self._found = self._read(self.step)
        except Exception as error:  # which is raised where the batch is asked for
            self._found = error

    def batch(self) -> Batch:
        """Return the batch once it is read, or raise what its reading raised."""
        self.join()
        if isinstance(self._found, Batch):
            return self._found
        assert self._found is not None
        raise self._found
