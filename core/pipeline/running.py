"""One stage at work on a few items: windows sampled, and what they decode to."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor

from ..contract import check_tensor
from ..diffusion.denoiser import Denoiser
from ..diffusion.guided import Guided
from ..diffusion.noise import Draws, Key
from ..diffusion.sampling import Denoise, Observer, Sampler, levels_from, sample
from ..errors import NumericError
from ..media import MediaSpec
from ..registration.config import PartConfig
from ..registration.registry import current
from .context import held
from .source import Resample
from .stage import Stage
from .wishes import Heard, heard

__all__ = ["Asked", "Result", "Running", "SamplingRun"]

Conditions = Sequence[Mapping[str, object]]


@dataclass(frozen=True)
class SamplingRun:
    """What the factories of sampling observers are told.

    Attributes:
        pipeline: name of the pipeline.
        stage: the stage that runs.
        keys: whose items are made.
        steps: number of steps.
        windows: how many windows it makes of each, one after the other, each in so many steps.
        called: what the stage is called: its name, with the number of its round where it runs more than once.
    """

    pipeline: str
    stage: Stage
    keys: tuple[Key, ...]
    steps: int
    windows: int = 1
    called: str = ""


@dataclass(frozen=True)
class Result:
    """What a stage has made of a few items, or what a user gave in its place.

    Attributes:
        spec: of an item.
        decode: gives the media (items, \\*spec.shape).
        latent: what the network made of the whole items (items, channels, \\*space), where it did.
        codec: the codec of that latent.
    """

    spec: MediaSpec
    decode: Callable[[], Tensor]
    latent: Tensor | None = None
    codec: PartConfig | None = None

    @cached_property
    def media(self) -> Tensor:
        """The media, decoded at the first use: a stage that goes on from the latent has no need of them."""
        return self.decode()


@dataclass(frozen=True)
class Asked:
    """A stage's denoiser, under its guidance, for items that are asked for.

    Attributes:
        denoise: ``(x_t, level) -> x0``, one row for each item.
        told: what its networks hear.
        model: the denoiser without guidance.
    """

    denoise: Denoise
    told: Heard
    model: Denoiser

    @property
    def rows(self) -> int:
        """Network forward passes so far, one for each row of each call."""
        return self.model.rows + (0 if self.told.guide is None else self.told.guide.rows)


@dataclass
class Running:
    """A stage that makes a few items, window by window.

    Attributes:
        pipeline: name of the pipeline.
        stage: what runs.
        keys: whose items are made, with the number of the stage.
        device: where it runs.
        dtype: what the network computes in.
        observers: watch the steps; those of plugins are asked too.
        resample: of the modality; None where it has none.
        count: windows that it will make.
        called: what messages call the stage; its name if empty.
        rows: network forward passes so far, one for each row of each call.
        begun: when it began, by the clock of ``time.perf_counter``.
    """

    pipeline: str
    stage: Stage
    keys: tuple[Key, ...]
    device: str = "cpu"
    dtype: torch.dtype = torch.float32
    observers: Sequence[Observer] = ()
    resample: Resample | None = None
    count: int = 1
    called: str = ""
    rows: int = 0
    begun: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        self.called = self.called or self.stage.config.name
        run = SamplingRun(self.pipeline, self.stage, self.keys, self.stage.config.steps, self.count, self.called)
        for one in self.observers:
            begin: Callable[[SamplingRun], None] | None = getattr(one, "begin", None)
            if begin is not None:
                begin(run)
        plugins = current().plugins.observers("noiseform_sampling_observers", run)
        self.observers = (*self.observers, *plugins)

    @property
    def where(self) -> str:
        """Return what messages call the pipeline."""
        return f"pipeline {self.pipeline!r}"

    def window(
        self,
        conditions: Conditions,
        keys: tuple[Key, ...],
        *,
        start: float = 1.0,
        signal: Tensor | None = None,
        noise: Tensor | None = None,
        around: Callable[[Denoise], Denoise] | None = None,
        sampler: Sampler | None = None,
    ) -> Tensor:
        """Return latents of one window (items, \\*latent_shape).

        Args:
            conditions: of each item.
            keys: of each item, with the number of the window.
            start: the time at which sampling begins.
            signal: latents (items, \\*latent_shape) whose noisy form at that time it begins with; nothing where None.
            noise: standard normal numbers like them; drawn by the keys where None.
            around: puts something around the denoiser.
            sampler: in the place of the stage's own.
        """
        stage, asked = self.stage, self.asked(conditions)
        x = None
        if signal is not None or noise is not None:
            first = levels_from(stage.process, stage.grid, stage.config.steps, start)[0]
            if noise is None:
                noise = Draws().normal(keys, stage.latent_shape, purpose="prior", device=self.device)
            x = first.sigma * noise.to(self.device)
            x = x if signal is None else x + first.alpha * signal.to(x)
        latent = sample(
            asked.denoise if around is None else around(asked.denoise),
            process=stage.process,
            sampler=sampler or stage.sampler,
            grid=stage.grid,
            steps=stage.config.steps,
            start=start,
            shape=stage.latent_shape,
            seeds=keys,
            x=x,
            device=self.device,
            observers=self.observers,
        )
        self.rows += asked.rows
        return latent if asked.told.offset is None else asked.told.offset[0] + asked.told.offset[1] * latent

    def asked(self, conditions: Conditions) -> Asked:
        """Return the stage's denoiser, as sampling calls it for items of these conditions."""
        stage = self.stage
        told = heard(stage, conditions, self.device)
        model = Denoiser(stage.network, stage.objective.prediction, dtype=self.dtype)
        given = {} if told.guide is None else {"guide": told.guide}
        of = f"guidance {stage.config.guidance.use!r}"
        guided = Guided(stage.guidance, model, told.cond, told.null, of=of, given=given)
        return Asked(held(guided, conditions, self.device), told, model)

    def decoded(self, latent: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Return media (items, \\*shape) for latents (items, channels, \\*space).

        Raises:
            NumericError: they are not finite.
            PluginError: they have another shape.
        """
        codec = f"codec {self.stage.config.codec.use!r}"
        with torch.no_grad():
            media = check_tensor(self.stage.codec.decode(latent, shape), (len(latent), *shape), of=f"{codec}: decode")
        if not bool(torch.isfinite(media).all()):
            raise NumericError(
                f"generate: {self.pipeline}: {codec} gave values that are not finite; use float32, or less guidance"
            )
        return media

    def encoded(self, media: Tensor, spec: MediaSpec) -> Tensor:
        """Return latents (items, channels, \\*space) of media (items, \\*spec.shape)."""
        codec = f"codec {self.stage.config.codec.use!r}"
        with torch.no_grad():
            latent = self.stage.codec.encode(media.to(self.device))
        return check_tensor(latent, (len(media), *self.stage.codec.shape(spec.shape)), of=f"{codec}: encode")

    def windows(self, number: int) -> tuple[Key, ...]:
        """Return the keys of the items' window ``number``."""
        return tuple(replace(key, window=number) for key in self.keys)
