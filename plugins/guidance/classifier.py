"""Classifier guidance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Le
from torch import Tensor

from ...core.diffusion.denoiser import Conditioned
from ...core.diffusion.level import Level
from ...core.diffusion.sampling import Denoise
from ...core.errors import ConfigError

__all__ = ["ClassifierGuidance"]

Share = Annotated[float, Ge(0), Le(1)]


@dataclass(frozen=True)
class ClassifierGuidance:
    """``x0 + scale * sigma**2 / alpha * grad log p(label | x_t)``, by a classifier of noisy items.

    The classifier is the one whose model folder ``weights`` names. One call of each network an item; where the guided
    model knows no labels, the classifier alone sees to them. Where alpha is 0, x_t holds nothing to classify and the
    model is called alone.

    Args:
        scale: 1 is what Bayes' rule says, above 1 more of the label, 0 none.
        interval: times (from, to) in [0, 1] within which guidance is on; outside it the model is called alone.

    Source: Dhariwal and Nichol 2021, arXiv 2105.05233, algorithm 2 and equation 14, of x0 instead of eps; the interval
    is that of Kynkäänniemi et al. 2024, arXiv 2404.07724.
    """

    scale: Annotated[float, Ge(-1000), Le(1000)] = 1.0
    interval: tuple[Share, Share] = (0.0, 1.0)

    guide: ClassVar[str] = "classifier"
    negative: ClassVar[bool] = False
    claims: ClassVar[Mapping[str, object]] = {"neutral": {"scale": 0.0}}

    def __post_init__(self) -> None:
        if self.interval[0] > self.interval[1]:
            raise ConfigError(
                f"guidance/classifier: interval: expected (from, to) with from <= to, got {self.interval}"
            )

    def wrap(
        self,
        denoise: Conditioned,
        cond: Mapping[str, Tensor],
        null: Mapping[str, Tensor],
        guide: Callable[[Tensor, Level[float]], Tensor] | None = None,
    ) -> Denoise:
        first, last = self.interval

        def guided(x: Tensor, level: Level[float]) -> Tensor:
            x0 = denoise(x, level, cond)
            if guide is None or self.scale == 0 or level.alpha == 0 or not first <= level.t <= last:
                return x0
            with torch.enable_grad():
                at = x.detach().requires_grad_()
                (gradient,) = torch.autograd.grad(guide(at, level).sum(), at)
            return x0 + self.scale * level.sigma**2 / level.alpha * gradient

        return guided
