"""At which times training looks, as inverse distribution functions of a number drawn uniformly from [0, 1)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from ...core.diffusion.objective import EDGE, Density
from ...core.diffusion.process import CompleteProcess
from .importance import Importance

__all__ = ["DensityName", "density"]

DensityName = Literal["uniform", "logit-normal", "log-normal", "importance"]


def density(name: DensityName, mean: float | None, std: float | None) -> Density:
    """Return a density of t by name.

    Args:
        name: "uniform": t itself; "logit-normal": log(t / (1 - t)) is normal, by default with mean 0 and width 1;
            "log-normal": log(sigma / alpha) is normal, by default with mean -1.2 and width 1.2;
            "importance": see :class:`Importance`, which learns from the losses.
        mean: centre of the normal distribution.
        std: its width.

    Source: Esser et al. 2024, arXiv 2403.03206, equation 19; Karras et al. 2022, arXiv 2206.00364, table 1.
    """

    if name == "importance":
        return Importance()

    def normal(u: Tensor, usual_mean: float, usual_std: float) -> Tensor:
        centre = usual_mean if mean is None else mean
        return centre + (usual_std if std is None else std) * torch.special.ndtri(u.clamp(EDGE, 1 - EDGE))

    def times(u: Tensor, process: CompleteProcess) -> Tensor:
        u = u.to(torch.float64)
        if name == "uniform":
            t = u
        elif name == "logit-normal":
            t = torch.sigmoid(normal(u, 0.0, 1.0))
        else:
            t = process.t_of_log_snr(-2 * normal(u, -1.2, 1.2))
        return t.clamp(EDGE, 1 - EDGE)

    return times
