"""The moving average of the weights: what a model ships."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

__all__ = ["averaged"]


def averaged(model: nn.Module, decay: float) -> AveragedModel:
    """Return an exponential moving average of a model's weights; call ``update_parameters(model)`` after each step.

    What it holds as ``module`` is in evaluation mode: no dropout, as the model will be used.

    Early on the decay is ``(1 + n) / (10 + n)`` after n updates, so that the random start is soon forgotten.

    Args:
        model: whose weights.
        decay: at its highest.

    Source: the schedule of TensorFlow's ExponentialMovingAverage; Ho et al. 2020, arXiv 2006.11239, appendix B.
    """

    def update(average: list[Tensor], current: list[Tensor], count: Tensor | int) -> None:
        number = int(count)
        now = min(decay, (1 + number) / (10 + number))
        torch._foreach_lerp_(average, current, 1 - now)

    average = AveragedModel(model, multi_avg_fn=update)  # type: ignore[arg-type]
    return average.eval()
