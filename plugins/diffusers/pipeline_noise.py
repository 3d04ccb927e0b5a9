"""The noise of a run inside a pipeline of diffusers, from the generator that the pipeline passes."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ...core.diffusion.brownian import BrownianPath
from ...core.diffusion.level import Level
from ...core.diffusion.noise import Draws, keys_of

__all__ = ["PipelineNoise"]

Generators = torch.Generator | Sequence[torch.Generator] | None


class PipelineNoise:
    """Standard normal numbers like x, drawn in the order in which the steps ask for them, as diffusers draws its own.

    Noise by interval comes from one path for each row, whose seed is drawn from the generator at the first such wish.

    Attributes:
        step: number of the step; the same wish of the same step gets the same numbers.
        generator: of all rows, or one for each; None is torch's global one, which is diffusers' own default.
    """

    def __init__(self, x: Tensor, dtype: torch.dtype, generator: Generators) -> None:
        self._x, self._dtype = x, dtype
        self.generator = generator
        self._drawn: dict[str, Tensor] = {}
        self._path: BrownianPath | None = None
        self._step = 0

    @property
    def step(self) -> int:
        """Number of the step."""
        return self._step

    @step.setter
    def step(self, step: int) -> None:
        if step != self._step:
            self._step, self._drawn = step, {}

    def __call__(self, purpose: str = "step") -> Tensor:
        if purpose not in self._drawn:
            randn: Any = importlib.import_module("diffusers.utils.torch_utils").randn_tensor
            drawn: Tensor = randn(self._x.shape, generator=self.generator, device=self._x.device, dtype=self._dtype)
            self._drawn[purpose] = drawn.to(self._x.dtype)
        return self._drawn[purpose].clone()  # a sampler may write to it, and the step may be made again

    def between(self, here: Level[float], next: Level[float]) -> Tensor:
        if self._path is None:
            draws, keys = Draws(), keys_of(_seeds(self.generator, len(self._x)))
            shape = tuple(self._x.shape[1:])
            self._path = BrownianPath(
                lambda node: draws.normal(keys, shape, purpose="path", step=node, dtype=torch.float64)
            )
        return self._path.between(here, next).to(dtype=self._x.dtype, device=self._x.device)


def _seeds(generator: Generators, rows: int) -> list[int]:
    if generator is None or isinstance(generator, torch.Generator):
        device = "cpu" if generator is None else generator.device
        seeds: list[int] = torch.randint(2**63 - 1, (rows,), generator=generator, device=device).tolist()
        return seeds
    return [seed for one in generator for seed in _seeds(one, 1)]
