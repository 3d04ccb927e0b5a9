"""Steps made again: what is new and what is held grow together."""

from __future__ import annotations

from torch import Tensor

from .combination import combined
from .level import Level
from .sampling import Denoise, Noise, Sampler
from .sde import forward

__all__ = ["Resampling"]


class Resampling:
    """A sampler that makes each step several times, with forward noise between, so that all parts of an item agree.

    Where a part of the item is held, one step makes the rest of it fit only by and by. Going back to the level before
    and making the step again gives it more chances: ``times`` of them.

    Args:
        sampler: makes a step.
        times: how often each step is made; 1 is the sampler itself.

    Source: Lugmayr et al. 2022, arXiv 2201.09865, algorithm 1 with jumps of one step.
    """

    stochastic = True

    def __init__(self, sampler: Sampler, times: int) -> None:
        self._sampler, self._times = sampler, times
        self.order = sampler.order
        self.nfe_per_step = sampler.nfe_per_step * times
        self.nfe_varies = getattr(sampler, "nfe_varies", False)
        self.needs_variance = getattr(sampler, "needs_variance", False)

    def init(self, x: Tensor) -> object:
        return self._sampler.init(x)

    def step(
        self, x: Tensor, here: Level[float], next: Level[float], denoise: Denoise, noise: Noise, state: object
    ) -> tuple[Tensor, object]:
        made, after = self._sampler.step(x, here, next, denoise, noise, state)
        if next.sigma == 0:  # an end is an end
            return made, after
        back = forward(next, here)
        for number in range(1, self._times):
            again = combined(made, back.of_x, noise(f"resampling-{number}"), back.deviation)
            # The history of a multistep sampler belongs to the way that was left: each repetition begins anew.
            made, after = self._sampler.step(again, here, next, denoise, _Again(noise, number), self.init(again))
        return made, after


class _Again:
    """The noise of a step's repetition."""

    def __init__(self, noise: Noise, number: int) -> None:
        self._noise, self._number = noise, number

    def __call__(self, purpose: str = "step") -> Tensor:
        return self._noise(f"{purpose}-{self._number}")

    def between(self, here: Level[float], next: Level[float]) -> Tensor:
        return self("between")  # the path was walked the first time; a repetition needs noise of its own
