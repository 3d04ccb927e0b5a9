"""An objective: what the network predicts, at which times it is asked, and what an error costs."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Gt
from noiseform.core.diffusion.prediction import V
from noiseform.core.diffusion.process import level_at


class Huber:
    """Predict v under the pseudo-Huber loss, which counts large errors by their size instead of their square.

    Args:
        width: where the one goes over into the other. A small one learns the median of what is possible, not its mean.
    """

    prediction = V  # how a sampler reads the network's output

    def __init__(self, width: Annotated[float, Gt(0)] = 1.0) -> None:
        self.width = width

    def times(self, u, process):
        return u.clamp(1e-4, 1 - 1e-4)  # for u drawn evenly from [0, 1)

    def loss(self, network, process, x0, t, eps, cond):
        level = level_at(process, t)  # float64, one per item
        wide = level.like(x0)  # the same, shaped to go with (batch, *item)
        x = wide.alpha * x0 + wide.sigma * eps
        output = network(x * V.scale(wide), V.time(level).to(x0), cond)
        error = output - V.target(x0, eps, wide)
        return (torch.sqrt(error**2 + self.width**2) - self.width).flatten(1).mean(1)  # (batch,)
