"""Every sampler as a function in the calling convention of k-diffusion, for code that is written for its functions.

    from noiseform.plugins.k_diffusion import sample_dpmpp_2m
    x0 = sample_dpmpp_2m(model, x, sigmas, extra_args={"cond": cond})

``model(x, sigma, **extra_args)`` gives the clean items of ``x = x0 + sigma * eps``. There is one function for each
sampler of the registry, those of plugins too: ``sample_`` and its name, with underscores.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ..core.diffusion.level import Level
from ..core.diffusion.noise import Key
from ..core.diffusion.process import Process
from ..core.diffusion.sampling import Denoise, Noise, Sampler, sample
from ..core.errors import ConfigError
from ..core.registration.build import build, find
from ..core.registration.registry import current

__all__ = ["NoiseSampler", "SampleFunction", "sampler_function"]

NoiseSampler = Callable[[Tensor, Tensor], Tensor]
"""``(sigma, sigma_next)``, tensors without axes, -> standard normal numbers like x."""


class SampleFunction(Protocol):
    """A sampler as k-diffusion has them."""

    def __call__(
        self,
        model: Callable[..., Tensor],
        x: Tensor,
        sigmas: Tensor,
        extra_args: Mapping[str, object] | None = None,
        callback: Callable[[dict[str, object]], object] | None = None,
        disable: bool | None = None,
        *,
        seeds: Sequence[int | Key] | None = None,
        noise_sampler: NoiseSampler | None = None,
        **parameters: object,
    ) -> Tensor:
        """Return items (batch, \\*item) at the last of the noise levels.

        Args:
            model: ``(x, sigma, **extra_args)`` -> clean items, sigma (batch,).
            x: noisy items (batch, \\*item), ``x0 + sigmas[0] * eps``.
            sigmas: falling noise levels (steps + 1,); the last one is usually 0.
            extra_args: what else the model is given.
            callback: is given ``x``, ``i``, ``sigma``, ``sigma_hat`` and ``denoised`` of the first call of the model in
                each step; ``sigma_hat`` is the noise level of that call.
            disable: is not looked at; there is no progress bar.
            seeds: of the noise, one for each row, keyed as everywhere in noiseform. If neither these nor a
                ``noise_sampler`` are given, a stochastic sampler draws them from torch's global generator, which is
                where k-diffusion's noise comes from.
            noise_sampler: gives the noise itself.
            parameters: of the sampler; ``noiseform show sampler/NAME`` lists them.

        Raises:
            ConfigError: the sigmas do not fall, a parameter is unknown, or there is not one seed for each row.
        """


def sampler_function(name: str) -> SampleFunction:
    """Return a sampler by its name as a function in the calling convention of k-diffusion.

    Args:
        name: of the sampler.

    Raises:
        ConfigError: there is no such sampler.
        PluginError: two plugins claim the name, or its plugin fails.

    Example:
        >>> sample_ddim = sampler_function("ddim")
        >>> x0 = sample_ddim(model, x, sigmas, eta=0.5, seeds=[0, 1])
    """
    find("sampler", name)

    def sample_by_name(
        model: Callable[..., Tensor],
        x: Tensor,
        sigmas: Tensor,
        extra_args: Mapping[str, object] | None = None,
        callback: Callable[[dict[str, object]], object] | None = None,
        disable: bool | None = None,
        *,
        seeds: Sequence[int | Key] | None = None,
        noise_sampler: NoiseSampler | None = None,
        **parameters: object,
    ) -> Tensor:
        if seeds is not None and noise_sampler is not None:
            raise ConfigError("sample: seeds and a noise_sampler were given; give one of them")
        levels = _checked(sigmas)
        sampler: Sampler = build("sampler", name, **parameters)
        if len(levels) == 1:
            return x
        if seeds is None and noise_sampler is None and sampler.stochastic:
            seeds = torch.randint(2**63 - 1, (len(x),)).tolist()
        given = extra_args or {}

        def denoise(x: Tensor, level: Level[float]) -> Tensor:
            return model(x, x.new_full((len(x),), level.sigma), **given)

        return sample(
            denoise,
            process=build("process", "edm", sigma_max=levels[0].item()),
            sampler=_Bridged(sampler, callback, noise_sampler),
            grid=_Visited(levels / levels[0]),
            steps=len(levels) - 1,
            x=x,
            seeds=seeds,
        )

    sample_by_name.__name__ = sample_by_name.__qualname__ = f"sample_{_underscored(name)}"
    sample_by_name.__doc__ = SampleFunction.__call__.__doc__
    return sample_by_name


def _checked(sigmas: Tensor) -> Tensor:
    """Return noise levels as float64 on the CPU."""
    levels = torch.as_tensor(sigmas).detach().to("cpu", torch.float64)
    if levels.ndim != 1 or len(levels) < 1 or not (levels[0] > 0 and levels[-1] >= 0 and (levels.diff() < 0).all()):
        shown = [round(sigma, 6) for sigma in levels.flatten()[:6].tolist()]
        raise ConfigError(f"sigmas: expected one axis of numbers that fall from above 0, to 0 at most, got {shown}…")
    return levels


@dataclass(frozen=True)
class _Visited:
    """The grid of times that are known."""

    known: Tensor

    def times(self, process: Process, steps: int) -> Tensor:
        return self.known


class _Bridged:
    """A sampler whose noise comes from a noise sampler, and that shows a callback its first call of each step."""

    def __init__(
        self,
        sampler: Sampler,
        callback: Callable[[dict[str, object]], object] | None,
        noise_sampler: NoiseSampler | None,
    ) -> None:
        self._sampler, self._callback, self._noise_sampler = sampler, callback, noise_sampler
        self._steps = 0
        self.order, self.stochastic, self.nfe_per_step = sampler.order, sampler.stochastic, sampler.nfe_per_step

    def init(self, x: Tensor) -> object:
        return self._sampler.init(x)

    def step(
        self, x: Tensor, here: Level[float], next: Level[float], denoise: Denoise, noise: Noise, state: object
    ) -> tuple[Tensor, object]:
        if self._noise_sampler is not None:
            noise = _Sampled(self._noise_sampler, x, here, next)
        if self._callback is not None:
            denoise = _Shown(denoise, self._callback, self._steps, here)
        self._steps += 1
        return self._sampler.step(x, here, next, denoise, noise, state)


class _Shown:
    """A denoiser whose first call a callback is shown."""

    def __init__(
        self, denoise: Denoise, callback: Callable[[dict[str, object]], object], step: int, here: Level[float]
    ) -> None:
        self._denoise, self._callback, self._step, self._here = denoise, callback, step, here
        self._first = True

    def __call__(self, x: Tensor, level: Level[float]) -> Tensor:
        x0 = self._denoise(x, level)
        if self._first:
            self._first = False
            sigma, sigma_hat = x.new_tensor(self._here.sigma), x.new_tensor(level.sigma)
            self._callback({"x": x, "i": self._step, "sigma": sigma, "sigma_hat": sigma_hat, "denoised": x0})
        return x0


class _Sampled:
    """The noise of a step, from a noise sampler that is asked once for each purpose."""

    def __init__(self, sampled: NoiseSampler, x: Tensor, here: Level[float], next: Level[float]) -> None:
        self._sampled, self._x, self._here, self._next = sampled, x, here, next
        self._drawn: dict[str, Tensor] = {}

    def __call__(self, purpose: str = "step") -> Tensor:
        if purpose not in self._drawn:
            self._drawn[purpose] = self.between(self._here, self._next)
        return self._drawn[purpose].clone()

    def between(self, here: Level[float], next: Level[float]) -> Tensor:
        return self._sampled(self._x.new_tensor(here.sigma), self._x.new_tensor(next.sigma)).to(self._x)


def _underscored(name: str) -> str:
    return name.rpartition("/")[2].replace("-", "_").replace(".", "_")


def _names() -> dict[str, str]:
    """Return the functions that there are, and what their samplers are called."""
    return {f"sample_{_underscored(part.name)}": part.name for part in current().plugins.parts("sampler")}


def __getattr__(name: str) -> SampleFunction:
    """Make the function of a sampler; what is registered may change, so none is kept."""
    names = _names() if name.startswith("sample_") else {}
    if name not in names:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; noiseform list sampler shows all")
    return sampler_function(names[name])


def __dir__() -> list[str]:
    return sorted({*globals(), *_names()})
