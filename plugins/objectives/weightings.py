"""Which errors matter: weights of the squared error of a network's output."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from ...core.diffusion.level import Level
from ...core.diffusion.objective import Weighting
from ...core.diffusion.prediction import SCORE, Prediction

__all__ = ["WeightingName", "weighting"]

WeightingName = Literal["uniform", "snr", "min-snr", "p2", "edm", "likelihood"]


def weighting(name: WeightingName, gamma: float | None = None, k: float = 1.0, sigma_data: float = 0.5) -> Weighting:
    """Return a weighting by name.

    "uniform" weighs every output alike, but the score by sigma**2 (its unit is 1 / sigma, and the unweighted mean
    has no finite variance). The others are weights of the squared error of eps or of x0, carried over to whatever the
    network predicts, so that they mean the same for every prediction:

    ==========  ==============================  =====================================================
    name        of the error of eps             of the error of x0
    ==========  ==============================  =====================================================
    snr         1                               SNR
    min-snr     min(SNR, gamma) / SNR           min(SNR, gamma)
    p2          1 / (k + SNR)**gamma            SNR / (k + SNR)**gamma
    edm         1 + 1 / (SNR * sigma_data**2)   SNR + 1 / sigma_data**2
    likelihood  -(d log SNR / dt) / 2           -(d SNR / dt) / 2
    ==========  ==============================  =====================================================

    With "likelihood" and times drawn uniformly the expected loss is the diffusion part of the variational bound in
    continuous time, in nats for each number of an item.

    Args:
        name: which of them.
        gamma: cap of the signal-to-noise ratio in "min-snr", 5 if omitted; exponent in "p2", 1 if omitted.
        k: the signal-to-noise ratio that "p2" adds.
        sigma_data: standard deviation of the data in "edm".

    Source: Salimans and Ho 2022, arXiv 2202.00512, section 4; Hang et al. 2023, arXiv 2303.09556, equation 7;
        Choi et al. 2022, arXiv 2204.00227, equation 8; Karras et al. 2022, arXiv 2206.00364, table 1;
        Kingma et al. 2021, arXiv 2107.00630, equation 17; Song et al. 2021, arXiv 2101.09258, theorem 1.
    """
    cap, exponent = (5.0, 1.0) if gamma is None else (gamma, gamma)

    def weight(prediction: Prediction, level: Level[Tensor]) -> Tensor:
        if name == "uniform":
            return level.sigma**2 if prediction is SCORE else torch.ones_like(level.t)
        alpha, sigma = level.alpha, level.sigma
        if name == "edm":  # by way of x0, since the weight of eps is infinite at alpha = 0; alpha**2 / sigma**2 is SNR
            _, of_output = prediction.x0_factors(level)
            return of_output**2 * ((alpha / sigma) ** 2 + sigma_data**-2)
        of_eps = (prediction.error_gain(level) / sigma) ** 2
        if name == "snr":
            return of_eps
        if name == "min-snr":
            return of_eps * (cap * (sigma / alpha) ** 2).clamp(max=1.0)
        if name == "p2":
            return of_eps * (k + (alpha / sigma) ** 2) ** -exponent
        slope = level.d_sigma / sigma - level.d_alpha / alpha  # -(d log SNR / dt) / 2
        # Where alpha is 0 the slope is infinite and an error of the output none of eps.
        return torch.where(alpha == 0, 0.0, of_eps * slope)

    return weight
