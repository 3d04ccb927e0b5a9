"""Ancestral sampling of DDPM."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Literal

from annotated_types import Ge
from torch import Tensor

from ...core.diffusion.brownian import step_noise
from ...core.diffusion.combination import added_to, combined
from ...core.diffusion.level import Level, Numbers
from ...core.diffusion.sampling import Denoise, Noise
from ...core.diffusion.transition import Variance, transition
from ...core.errors import ConfigError

__all__ = ["DDPM"]


@dataclass(frozen=True)
class DDPM:
    """Draws from the Gaussian posterior q(x_next | x_here, x0), with the predicted x0 in the place of the true one.

    Order 1 in distribution, 1 NFE per step, stochastic, keeps no state. Written for any alpha and sigma.

    Args:
        variance: "small" is the posterior's own variance, exact for data of one point; "large" is exact for data of
            unit variance, and on variance-preserving processes that of the forward step; "learned" is what the model
            says, between the two and for each value of an item, if its objective taught it to.
        clip: bound that x0 is held to, -clip to clip, as models of pixels want it. 0 is none.
        brownian: take the noise of a step from one Brownian path per item, the same for any number of steps.

    Source: Ho et al. 2020, arXiv 2006.11239, equations 6 and 7; Kingma et al. 2021, arXiv 2107.00630, appendix A.2;
    Nichol and Dhariwal 2021, arXiv 2102.09672, section 3.1 (learned variance) and section 4 (of longer steps).
    """

    variance: Literal["small", "large", "learned"] = "small"
    clip: Annotated[float, Ge(0)] = 0.0
    brownian: bool = False

    order = 1
    stochastic = True
    nfe_per_step = 1

    @property
    def needs_variance(self) -> bool:
        return self.variance == "learned"

    def init(self, x: Tensor) -> None:
        return None

    def step(
        self, x: Tensor, here: Level[float], next: Level[float], denoise: Denoise, noise: Noise, state: None
    ) -> tuple[Tensor, None]:
        x0 = denoise(x, here)
        if self.clip:
            x0 = x0.clamp(-self.clip, self.clip)
        of_x, of_x0, deviation = _shares(self.variance == "large", here.numbers, next.numbers)
        mean = combined(x, of_x, x0, of_x0)
        if next.sigma == 0:
            return mean, None
        fresh = step_noise(noise, here, next, self.brownian)
        if self.variance == "learned":
            return mean.addcmul_(fresh, _learnt(denoise)(here, next).sqrt().to(x.dtype)), None
        return added_to(mean, fresh, deviation), None


@lru_cache(maxsize=4096)  # runs on the same grid ask for the same
def _shares(large: bool, here: Numbers[float], next: Numbers[float]) -> tuple[float, float, float]:
    """Return the factors of x and x0 in the mean of a step, and its deviation."""
    step = transition(Level(*here), Level(*next))
    return step.of_x, step.of_x0, max(step.large if large else step.small, 0.0) ** 0.5


def _learnt(denoise: Denoise) -> Variance:
    variance: Variance | None = getattr(denoise, "variance", None)
    if variance is None:
        raise ConfigError(
            'sampler/ddpm: variance = "learned": the denoiser has none; use "small" or "large", or a model whose '
            "objective learns the variance, such as hybrid-vlb"
        )
    return variance
