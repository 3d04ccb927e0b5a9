"""DPM-Solver++(2M)."""

from __future__ import annotations

import math

from torch import Tensor

from ...core.diffusion.combination import added_to, combined
from ...core.diffusion.level import Level
from ...core.diffusion.sampling import Denoise, Noise

__all__ = ["DPMpp2M"]


class DPMpp2M:
    """The second-order multistep solver that integrates x0 exactly against lambda, extrapolating it in lambda.

    Order 2, 1 NFE per step, deterministic; its state is the last step's x0 and level. The first step and a step to
    sigma = 0 are of order 1.

    Source: Lu et al. 2022, arXiv 2211.01095, algorithm 2 (lambda there is half of log-SNR here).
    """

    order = 2
    stochastic = False
    nfe_per_step = 1

    def init(self, x: Tensor) -> None:
        return None

    def step(
        self,
        x: Tensor,
        here: Level[float],
        next: Level[float],
        denoise: Denoise,
        noise: Noise,
        state: tuple[Tensor, Level[float]] | None,
    ) -> tuple[Tensor, tuple[Tensor, Level[float]]]:
        x0 = denoise(x, here)
        ratio = next.sigma / here.sigma
        gain = next.alpha - ratio * here.alpha  # alpha_next (1 - exp(-h)), finite at both ends of a process
        if state is None or next.sigma == 0:
            return combined(x, ratio, x0, gain), (x0, here)
        x0_before, before = state
        half_inverse_r = (next.log_snr - here.log_snr) / (here.log_snr - before.log_snr) / 2
        if not math.isfinite(half_inverse_r):  # the step before came from alpha = 0
            half_inverse_r = 0.0
        there = combined(x, ratio, x0, gain * (1 + half_inverse_r))
        return added_to(there, x0_before, -gain * half_inverse_r), (x0, here)
