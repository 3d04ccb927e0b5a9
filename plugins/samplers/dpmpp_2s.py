"""DPM-Solver++(2S)."""

from __future__ import annotations

import math

from torch import Tensor

from ...core.diffusion.combination import euler_step
from ...core.diffusion.level import Level
from ...core.diffusion.sampling import Denoise, Noise

__all__ = ["DPMpp2S"]


class DPMpp2S:
    """The second-order singlestep solver: x0 as it is halfway in lambda serves for the whole step.

    Order 2, 2 NFE per step, deterministic, keeps no state: for denoisers that change from step to step. A step from
    alpha = 0 has no middle in lambda; there it is the middle in alpha / sigma, in which x0 begins as a line. A step to
    sigma = 0 is of order 1 and takes 1 NFE.

    Source: Lu et al. 2022, arXiv 2211.01095, algorithm 1 with r = 1/2 (lambda there is half of log-SNR here).
    """

    order = 2
    stochastic = False
    nfe_per_step = 2

    def init(self, x: Tensor) -> None:
        return None

    def step(
        self, x: Tensor, here: Level[float], next: Level[float], denoise: Denoise, noise: Noise, state: None
    ) -> tuple[Tensor, None]:
        x0 = denoise(x, here)
        if next.sigma != 0:
            halfway = (here.log_snr + next.log_snr) / 2 if here.alpha != 0 else next.log_snr - 2 * math.log(2)
            middle = here.at_log_snr(halfway)
            x0 = denoise(euler_step(x, x0, here, middle), middle)
        return euler_step(x, x0, here, next), None
