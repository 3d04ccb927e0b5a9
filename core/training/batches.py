"""Which items are seen at which step, and every number that is drawn for them."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

import torch
from torch import Tensor

from ..diffusion.noise import Draws, Key
from ..pipeline.modality import DataSet

__all__ = ["Batch", "Batches"]

_CHANCES = 4


@dataclass(frozen=True)
class Batch:
    """The items of one step, where the model is trained; numbers of which times are made lie on the CPU.

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
        return Draws().normal(self._keys, shape, purpose=purpose, step=self.step, device=self.media.device)


class Batches:
    """The batches of a training run; ``batch(step)`` depends on nothing that came before.

    Every epoch visits each item once, in an order of its own; a batch may end one epoch and begin the next.

    Where the model is trained on another device, the processor reads the next batch meanwhile, in a thread that
    :meth:`wait` waits for; used as a context manager, it leaves none behind.

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
        self._device = torch.device(device)
        self._draws = Draws()
        self._order: tuple[int, Tensor] | None = None
        self._reader: ThreadPoolExecutor | None = None
        self._next: tuple[int, Future[Batch]] | None = None

    def __enter__(self) -> Self:
        if self._device.type != "cpu":
            self._reader = ThreadPoolExecutor(1, "noiseform-reader")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._reader is not None:
            self._reader.shutdown(cancel_futures=True)
        self._reader = self._next = None

    def batch(self, step: int) -> Batch:
        """Return the batch of a step, counted from 0."""
        if self._reader is None:
            return self._on_device(self._read(step))
        here = self._next[1] if self._next and self._next[0] == step else self._reader.submit(self._read, step)
        batch = here.result()
        self._next = step + 1, self._reader.submit(self._read, step + 1)
        return self._on_device(batch)

    def wait(self) -> None:
        """Return once nobody reads the data any more, who might be in the way of others that do."""
        if self._next is not None:
            wait([self._next[1]])

    def _on_device(self, batch: Batch) -> Batch:
        if self._device.type == "cpu":
            return batch
        names = ("media", "chances", "drop")
        return replace(batch, **{name: getattr(batch, name).to(self._device) for name in names})

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
