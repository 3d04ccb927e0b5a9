"""Predictor-corrector sampling, and annealed Langevin dynamics as the corrector alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge, Gt
from torch import Tensor

from ...core.diffusion.combination import added_to, combined, plus, scaled
from ...core.diffusion.level import Level
from ...core.diffusion.sampling import Denoise, Noise
from ...core.diffusion.sde import forward
from ...core.diffusion.transition import transition
from ...core.errors import ConfigError

__all__ = ["PredictorCorrector"]


@dataclass(frozen=True)
class PredictorCorrector:
    """A step of the reverse SDE, then steps of Langevin dynamics, ``x + e score + sqrt(2 e) z``, at the level reached.

    The length e is such that the score's part is ``snr`` of the noise's, ``e = 2 (snr |z| / |score|)**2``, with norms
    over an item. 1 NFE per step and one for each correction, stochastic, keeps no state. Order 1 in distribution is the
    predictor's. The corrections' own distribution has a variance larger by a share of snr**2 (of Gaussian data, in
    items of many numbers), and no number of steps takes that away.

    Args:
        predictor: "reverse-diffusion" is Euler-Maruyama's step for x / alpha, from alpha = 0 the ancestral one;
            "ancestral" draws from DDPM's posterior, whose noise is never more than the level has; "none" keeps
            x / alpha (from alpha = 0 the noise), so that the corrections are annealed Langevin dynamics, of which a
            level needs many.
        corrections: steps of Langevin dynamics at each level but the last.
        snr: signal-to-noise ratio of a correction, r of the paper.

    Source: Song et al. 2021, arXiv 2011.13456, algorithms 2 to 5 and appendix F; Song and Ermon 2019, arXiv 1907.05600,
    algorithm 1.
    """

    predictor: Literal["ancestral", "reverse-diffusion", "none"] = "ancestral"
    corrections: Annotated[int, Ge(0)] = 1
    snr: Annotated[float, Gt(0)] = 0.16

    order = 1
    stochastic = True
    claims: ClassVar[Mapping[str, object]] = {"ordered_in_distribution": False}  # lengths of corrections hang on norms

    def __post_init__(self) -> None:
        if self.predictor == "none" and self.corrections == 0:
            raise ConfigError('sampler/predictor-corrector: predictor = "none" needs corrections of at least 1')

    @property
    def nfe_per_step(self) -> int:
        return self.corrections + (self.predictor != "none")

    def init(self, x: Tensor) -> None:
        return None

    def step(
        self, x: Tensor, here: Level[float], next: Level[float], denoise: Denoise, noise: Noise, state: None
    ) -> tuple[Tensor, None]:
        if next.sigma == 0:
            return scaled(denoise(x, here), next.alpha), None
        if self.predictor == "none":
            x = scaled(x, next.alpha / here.alpha if here.alpha else next.sigma / here.sigma)
        else:
            back = transition(here, next)
            variance = back.small
            if self.predictor == "reverse-diffusion" and here.alpha:
                kept, added = forward(next, here)
                variance = added / kept**2
            mean = combined(x, back.of_x, denoise(x, here), back.of_x0)
            x = added_to(mean, noise(), variance**0.5)
        for number in range(1, self.corrections + 1):
            x = self._corrected(x, next, denoise(x, next), noise(f"correction-{number}"))
        return x, None

    def _corrected(self, x: Tensor, level: Level[float], x0: Tensor, z: Tensor) -> Tensor:
        """Return x after a step of Langevin dynamics, with ``push = -sigma**2 score`` and ``gain = e / sigma**2``.

        e is at most alpha**2 + sigma**2, the variance of x where that of the data is 1: the score of an item of few
        numbers may be next to nothing by chance.
        """
        push, kind = plus(x, x0, -level.alpha), x.dtype
        wide = torch.promote_types(kind, torch.float32)
        if kind is not wide:
            x, push, z = x.to(wide), push.to(wide), z.to(wide)
        unit = 2 * (self.snr * level.sigma) ** 2  # gain where both norms are one
        most = (level.alpha / level.sigma) ** 2 + 1
        ratio = (_norms(z) / _norms(push)).clamp_(max=(most / unit) ** 0.5)
        moved = torch.addcmul(x, ratio.square(), push, value=-unit)
        moved.addcmul_(ratio, z, value=(2 * unit) ** 0.5 * level.sigma)
        return moved if kind is wide else moved.to(kind)


def _norms(x: Tensor) -> Tensor:
    """Return the norm of each item (batch, 1, ...). Row by row, so that no bit of it depends on the batch."""
    if x.shape[0] == 1:
        return torch.linalg.vector_norm(x, keepdim=True)
    return torch.cat([torch.linalg.vector_norm(row, keepdim=True) for row in x.split(1)])
