"""A network that is right, over which the mutants of networks are written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Convolutions"]


class Convolutions(nn.Module):
    """Two convolutions along a sound, shifted by time, vector and the mean of the sequence: an original."""

    item_ndim: Any = 1

    def __init__(
        self,
        width: int = 12,
        *,
        channels_in: int,
        channels_out: int,
        vector_width: int = 0,
        sequence_width: int = 0,
        extra_channels: int = 0,
    ) -> None:
        super().__init__()
        self.enter = nn.Conv1d(channels_in + extra_channels, width, 3, padding=1)
        self.time = nn.Linear(8, width)
        self.vector = nn.Linear(vector_width, width) if vector_width else None
        self.sequence = nn.Linear(sequence_width, width) if sequence_width else None
        self.body = nn.Conv1d(width, width, 3, padding=1)
        self.leave = nn.Conv1d(width, channels_out, 1)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, time: Tensor, cond: Mapping[str, Tensor]) -> Tensor:
        hidden = self.enter(torch.cat([x, *(cond[kind].to(x.dtype) for kind in ("channels",) if kind in cond)], 1))
        hidden = hidden + self.told(time, cond, x.dtype).unsqueeze(-1)
        return self.leave(hidden + self.changed(functional.silu(hidden)))

    def changed(self, hidden: Tensor) -> Tensor:
        return functional.silu(self.body(hidden))

    def told(self, time: Tensor, cond: Mapping[str, Tensor], dtype: torch.dtype) -> Tensor:
        angles = time.float().unsqueeze(1) * self.frequencies(time)
        told = self.time(torch.cat([angles.sin(), angles.cos()], 1).to(dtype))
        if self.vector is not None:
            told = told + self.vector(cond["vector"].to(dtype))
        if self.sequence is not None:
            places = functional.silu(self.sequence(cond["sequence"].to(dtype)))
            told = told + self.read(places, cond.get("sequence_mask", places.new_ones(places.shape[:2]) > 0))
        return told

    def frequencies(self, time: Tensor) -> Tensor:
        return 2.0 ** torch.arange(4, device=time.device)

    def read(self, places: Tensor, mask: Tensor) -> Tensor:
        there = mask.unsqueeze(-1).to(places.dtype)
        return (places * there).sum(1) / there.sum(1).clamp(min=1)
