"""Samplers that are right on a CPU and fail on a GPU, of Euler's method."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...diffusion.level import Level
from ...diffusion.sampling import Denoise, Noise
from .mutant import Mutant

__all__ = ["MUTANTS", "Euler"]


class Euler:
    """Euler's method for d(x / alpha) / d(nsr) = eps: an original."""

    order = 1
    stochastic = False
    nfe_per_step = 1

    def init(self, x: Tensor) -> Any:
        return None

    def step(
        self, x: Tensor, here: Level[float], next: Level[float], denoise: Denoise, noise: Noise, state: Any
    ) -> tuple[Tensor, Any]:
        x0 = denoise(x, here)
        return self.mixed(next.alpha, x0, next.sigma, (x - here.alpha * x0) / here.sigma), state

    def mixed(self, alpha: float, x0: Tensor, sigma: float, eps: Tensor) -> Tensor:
        return alpha * x0 + sigma * eps


class _Weighs(Euler):
    """Makes a tensor of numbers of Python, where x lies: an original."""

    def mixed(self, alpha, x0, sigma, eps):  # type: ignore[no-untyped-def]
        return torch.einsum("k,k...->...", x0.new_tensor([alpha, sigma]), torch.stack([x0, eps]))


class _OnTheCPU(Euler):
    """Makes a tensor without saying where."""

    def mixed(self, alpha, x0, sigma, eps):  # type: ignore[no-untyped-def]
        return super().mixed(alpha, x0, sigma, eps) + torch.zeros(x0.shape, dtype=x0.dtype)


class _NumbersSideBySide(Euler):
    """Stacks a number of the CPU with one of the device, as can be done with neither sums nor products."""

    def mixed(self, alpha, x0, sigma, eps):  # type: ignore[no-untyped-def]
        shares = torch.stack([torch.tensor(alpha, dtype=x0.dtype), eps.new_full((), sigma)])
        return shares[0] * x0 + shares[1] * eps


class _WritesFromTheCPU(Euler):
    """Writes values of the CPU at some places; the numbers of places may lie there, the values may not."""

    def mixed(self, alpha, x0, sigma, eps):  # type: ignore[no-untyped-def]
        made, places = super().mixed(alpha, x0, sigma, eps), torch.arange(len(x0))
        made[places] = made[places].cpu()
        return made


class _ByNumpy(Euler):
    """Reads tensors by numpy, which knows none but those of the CPU."""

    def mixed(self, alpha, x0, sigma, eps):  # type: ignore[no-untyped-def]
        return torch.from_numpy(super().mixed(alpha, x0.numpy(), sigma, eps.numpy())).to(x0)


class _GeneratorOfTheCPU(Euler):
    def mixed(self, alpha, x0, sigma, eps):  # type: ignore[no-untyped-def]
        draws = torch.Generator().manual_seed(0)
        drawn = torch.randn(eps.shape, generator=draws, device=eps.device, dtype=eps.dtype)
        return super().mixed(alpha, x0, sigma, eps + 0 * drawn)


MUTANTS = (
    Mutant("the original: Euler's method", Euler, None),
    Mutant("the original: one that makes a tensor of numbers", _Weighs, None),
    Mutant("makes a tensor without naming its device", _OnTheCPU, "test_keeps_the_device"),
    Mutant("stacks a number of the CPU with another", _NumbersSideBySide, "test_keeps_the_device"),
    Mutant("writes values of the CPU into items", _WritesFromTheCPU, "test_keeps_the_device"),
    Mutant("reads items by numpy", _ByNumpy, "test_keeps_the_device"),
    Mutant("draws by a generator of the CPU", _GeneratorOfTheCPU, "test_keeps_the_device"),
)
