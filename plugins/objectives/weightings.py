"""Which errors matter: weights of the squared error of a network's output."""

from __future__ import annotations

import torch
from torch import Tensor

from ...core.level import Level
from ...core.objective import Weighting
from ...core.prediction import SCORE, Prediction

__all__ = ["weighting"]


def weighting(name: str, gamma: float) -> Weighting:
    """Return a weighting by name.

    "uniform" weighs every output alike, but the score by sigma**2 (its unit is 1 / sigma, and the unweighted mean
    has no finite variance). "snr" and "min-snr" are weights of the squared error of x0, carried over to the output:
    SNR, which is the same as an unweighted error of eps, and min(SNR, gamma).

    Args:
        name: "uniform", "snr" or "min-snr".
        gamma: cap of the signal-to-noise ratio in "min-snr".

    Source: Salimans and Ho 2022, arXiv 2202.00512, section 4; Hang et al. 2023, arXiv 2303.09556, equation 7.
    """

    def weight(prediction: Prediction, level: Level[Tensor]) -> Tensor:
        if name == "uniform":
            return level.sigma**2 if prediction is SCORE else torch.ones_like(level.t)
        # error_gain**2 makes it a squared error of alpha * x0; over sigma**2 that is one of x0, weighed by the SNR.
        by_snr = (prediction.error_gain(level) / level.sigma) ** 2
        if name == "snr":
            return by_snr
        return by_snr * (gamma * (level.sigma / level.alpha) ** 2).clamp(max=1.0)  # min(SNR, gamma) / SNR

    return weight
