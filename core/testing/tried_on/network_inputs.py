"""What networks are tried on: noisy items, times and conditioning, and the same with one thing changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .numbers import normal, scattered

__all__ = ["SIZES", "Inputs", "changed", "drawn_inputs"]

SIZES: Mapping[int, tuple[int, ...]] = {0: (), 1: (32,), 2: (16, 8), 3: (4, 8, 8)}
"""Positions along each axis of space of an item, for each number of axes: an embedding, a sound, a picture, a film."""

LENGTH = 5
"""Places of a sequence."""


@dataclass(frozen=True)
class Inputs:
    """What a network is called with: items (batch, channels, \\*space), times (batch,) and conditioning."""

    x: Tensor
    time: Tensor
    cond: Mapping[str, Tensor]

    def rows(self, first: int, last: int) -> Inputs:
        """Return some of the items."""
        cond = {kind: value[first:last] for kind, value in self.cond.items()}
        return Inputs(self.x[first:last], self.time[first:last], cond)

    def at_times(self, *times: float) -> Inputs:
        """Return one item as often as there are times, at each of them."""
        cond = {kind: value.expand(len(times), *value.shape[1:]) for kind, value in self.cond.items()}
        return Inputs(self.x.expand(len(times), *self.x.shape[1:]), torch.tensor(times), cond)

    def turned(self) -> Inputs:
        """Return the items in the opposite order."""
        cond = {kind: value.flip(0) for kind, value in self.cond.items()}
        return Inputs(self.x.flip(0), self.time.flip(0), cond)

    def named(self) -> dict[str, Tensor]:
        """Return all tensors by name."""
        return {"x": self.x, "time": self.time, **{f"cond[{kind!r}]": value for kind, value in self.cond.items()}}

    def scattered(self) -> Inputs:
        """Return the same values, which lie in memory with gaps between them."""
        cond = {kind: scattered(value) for kind, value in self.cond.items()}
        return Inputs(scattered(self.x), scattered(self.time), cond)


def drawn_inputs(
    kinds: Mapping[str, int],
    channels: int,
    size: Sequence[int],
    *,
    rows: int = 3,
    classes: int = 0,
    dtype: torch.dtype = torch.float64,
) -> Inputs:
    """Return items, times and conditioning, the same in every run.

    Args:
        kinds: widths of the kinds of conditioning that there are.
        channels: of an item.
        size: positions along each axis of space.
        rows: how many items.
        classes: where not 0, vectors are whole numbers below it.
        dtype: of the items; times and conditioning are float32, as the program gives them.
    """
    cond: dict[str, Tensor] = {}
    if "vector" in kinds:
        numbers = torch.arange(rows).unsqueeze(1) % max(1, classes)
        cond["vector"] = numbers.float() if classes else normal(rows, kinds["vector"], purpose="vector").float()
    if "sequence" in kinds:
        cond["sequence"] = normal(rows, LENGTH, kinds["sequence"], purpose="sequence").float()
        there = torch.tensor([LENGTH - row % 3 for row in range(rows)])
        cond["sequence_mask"] = torch.arange(LENGTH) < there.unsqueeze(1)
    if "channels" in kinds:
        cond["channels"] = normal(rows, kinds["channels"], *size, purpose="channels").float()
    time = (torch.arange(rows, dtype=torch.float32) + 0.5) / rows
    return Inputs(normal(rows, channels, *size).to(dtype), time, cond)


def changed(inputs: Inputs, kind: str) -> tuple[Inputs, list[str]]:
    """Return an item, as the first of a batch, with others that differ from it in one thing each, and what that is.

    Args:
        inputs: one item.
        kind: of the conditioning, of which a feature, a channel or a place differs.
    """
    value = inputs.cond[kind]
    noun = {"sequence": "place", "channels": "channel"}.get(kind, "feature")
    spots: list[tuple[str, tuple[Any, ...]]] = [(f"{noun} {one}", (slice(None), one)) for one in range(value.shape[1])]
    if kind == "sequence":
        spots += [(f"feature {one}", (..., one)) for one in range(value.shape[2])]
    rows = [value]
    for _, spot in spots:
        row = value.clone()
        # One and a little: a number of a class that is rounded is that of the next one.
        row[spot] += 1 if kind == "vector" else 1 + 0.3 * normal(1, *value.shape[1:], purpose="change").to(value)[spot]
        rows.append(row)
    together = {name: one.expand(len(rows), *one.shape[1:]) for name, one in inputs.cond.items()}
    together[kind] = torch.cat(rows)
    x, time = (one.expand(len(rows), *one.shape[1:]) for one in (inputs.x, inputs.time))
    return Inputs(x, time, together), [name for name, _ in spots]
