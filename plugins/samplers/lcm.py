"""Multistep sampling of a consistency model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from ...core.diffusion.combination import combined, scaled
from ...core.diffusion.level import Level
from ...core.diffusion.sampling import Denoise, Noise

__all__ = ["LCM"]


class LCM:
    """``x_next = alpha x0 + sigma z``: the clean item of a single call, and all of the noise fresh.

    1 NFE per step, stochastic, keeps no state. Order 0: it solves nothing. With a network that was distilled to map any
    noisy item to the end of its trajectory, x0 is distributed like the data after one step and stays so; with one that
    says the mean of all that it may be, each step forgets the rest, and more steps do not bring it back.

    Source: Song et al. 2023, arXiv 2303.01469, algorithm 1; Luo et al. 2023, arXiv 2310.04378.
    """

    order = 0
    stochastic = True
    nfe_per_step = 1
    claims: ClassVar[Mapping[str, object]] = {"like_the_data": False}  # an ideal denoiser is no consistency function

    def init(self, x: Tensor) -> None:
        return None

    def step(
        self, x: Tensor, here: Level[float], next: Level[float], denoise: Denoise, noise: Noise, state: None
    ) -> tuple[Tensor, None]:
        x0 = denoise(x, here)
        return (combined(x0, next.alpha, noise(), next.sigma) if next.sigma else scaled(x0, next.alpha)), None
