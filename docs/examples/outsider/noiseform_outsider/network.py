"""A network: a torch module called as ``net(x, time, cond)``."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Ge, Le
from torch import nn


class Conv1d(nn.Module):
    """Residual dilated convolutions over one axis, each shifted by time and condition.

    Args:
        channels: inside.
        depth: number of layers; the last one looks 2**depth steps far.
        channels_in: of an item; given by the program, as all that follows.
        channels_out: of the output.
        vector_width: of the conditioning vector, 0 where there is none.
    """

    item_ndim = 1  # axes of an item after the channel axis

    def __init__(
        self,
        channels: Annotated[int, Ge(4), Le(4096)] = 64,
        depth: Annotated[int, Ge(1), Le(16)] = 5,
        *,
        channels_in: int,
        channels_out: int,
        vector_width: int = 0,
    ) -> None:
        super().__init__()
        self.enter = nn.Conv1d(channels_in, channels, 1)
        self.time = nn.Linear(16, channels)
        self.vector = nn.Linear(vector_width, channels) if vector_width else None
        self.layers = nn.ModuleList(
            nn.Conv1d(channels, channels, 3, padding=2**level, dilation=2**level) for level in range(depth)
        )
        self.leave = nn.Conv1d(channels, channels_out, 1)
        nn.init.zeros_(self.leave.weight)  # a network that starts by saying nothing is easier to train

    def forward(self, x, time, cond):
        angles = time[:, None] * 2.0 ** torch.arange(8, device=x.device)
        shift = self.time(torch.cat([angles.sin(), angles.cos()], 1).to(x.dtype))
        if self.vector is not None:
            shift = shift + self.vector(cond["vector"].to(x.dtype))
        hidden = self.enter(x)
        for layer in self.layers:
            hidden = hidden + torch.nn.functional.silu(layer(hidden + shift[:, :, None]))
        return self.leave(hidden)
