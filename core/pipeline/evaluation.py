"""A pipeline measured on real media: what metrics are shown of the two, and what they say."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..diffusion.denoiser import Cond, Denoiser
from ..diffusion.level import Level
from ..diffusion.noise import Key
from ..diffusion.process import CompleteProcess
from ..diffusion.sampling import Grid, SamplingStep
from ..diffusion.transition import Variance
from ..errors import ConfigError, PluginError
from ..machine.exhaustion import memory_told
from ..media import MediaSpec
from ..naming import printable
from ..registration.attribution import plugins_named, torch_kept
from ..registration.registry import current
from .enlarging import source_of
from .modality import DataSet, Media, wrapped
from .pipeline import Pipeline
from .running import Running
from .wishes import heard
from .work import Tell, Work, untold

__all__ = ["MeasuredModel", "Real", "Shown", "evaluated", "fits", "real_items", "refuse_unmeasured"]


@dataclass(frozen=True)
class Real:
    """An item of the data.

    Attributes:
        media: as a person sees or hears it.
        tensor: the same (channels, \\*space), in the range of its ``MediaSpec``.
        conditions: what describes it, such as ``{"labels": ("seven",)}``.
        name: of its file.
    """

    media: Media
    tensor: Tensor
    conditions: Mapping[str, object]
    name: str


@dataclass(frozen=True)
class Shown:
    """Some real items as the network of a model sees them, and what it takes their noisy form for.

    Attributes:
        x0: their latents (items, channels, \\*space).
        denoise: ``(x_t, level) -> x0`` under what describes them, without guidance, with a ``variance`` where the model
            learnt one; it can be differentiated.
        keys: of their draws.
    """

    x0: Tensor
    denoise: _Conditional
    keys: tuple[Key, ...]


class MeasuredModel:
    """A pipeline of one stage, as a metric with ``needs = "model"`` is given it.

    Args:
        pipeline: the pipeline.
        seed: of whatever is drawn.
        batch_size: items a call of the network.
        reached: is told how many of the real items a metric is through with.

    Attributes:
        spec: shape and units of its media.
        batch_size: items a call of the network.

    Raises:
        ConfigError: it has several stages, or makes something of what is there.
    """

    def __init__(
        self, pipeline: Pipeline, seed: int, batch_size: int, reached: Callable[[int], None] = lambda items: None
    ) -> None:
        refuse_unmeasured(pipeline)
        (self._stage,) = pipeline.stages
        self._pipeline, self._seed, self.batch_size, self._reached = pipeline, seed, batch_size, reached
        self.spec: MediaSpec = self._stage.media

    @property
    def process(self) -> CompleteProcess:
        """How data is destroyed."""
        return self._stage.process

    @property
    def grid(self) -> Grid:
        """Which times it visits."""
        return self._stage.grid

    @property
    def steps(self) -> int:
        """How many."""
        return self._stage.config.steps

    def encoded(self, tensors: Tensor) -> Tensor:
        """Return latents (items, channels, \\*space) of media (items, \\*spec.shape)."""
        return Running(self._pipeline.name, self._stage, (), self._pipeline.device).encoded(tensors, self.spec)

    def batches(self, real: Sequence[Real]) -> Iterator[Shown]:
        """Give real items as the network sees them, ``batch_size`` at a time."""
        for start in range(0, len(real), self.batch_size):
            some = real[start : start + self.batch_size]
            told = heard(self._stage, [one.conditions for one in some], self._pipeline.device)
            if told.offset is not None:
                raise ConfigError(
                    f"evaluate: {self._pipeline.where}: it makes only a part of an item; name another model"
                )
            denoiser = Denoiser(self._stage.network, self._stage.objective.prediction, dtype=self._pipeline.dtype)
            keys = tuple(Key(self._seed, item=start + place) for place in range(len(some)))
            x0 = self.encoded(torch.stack([one.tensor for one in some]))
            yield Shown(x0, _Conditional(denoiser, told.cond), keys)
            self._reached(start + len(some))


class _Conditional:
    """A denoiser under one conditioning, without guidance."""

    def __init__(self, denoiser: Denoiser, cond: Cond) -> None:
        self._denoiser, self._cond = denoiser, cond

    def __call__(self, x: Tensor, level: Level[float]) -> Tensor:
        return self._denoiser(x, level, self._cond)

    @property
    def variance(self) -> Variance:
        """That of the model, if it has one."""
        return self._denoiser.variance


def refuse_unmeasured(pipeline: Pipeline) -> None:
    """Refuse a pipeline that is not one model of whole items.

    Raises:
        ConfigError: it has several stages, makes something of what is there, or goes on window by window.
    """
    (first, *others) = pipeline.stages
    if others or source_of(first) is not None:
        raise ConfigError(
            f"evaluate: {pipeline.where}: a model that goes on from what is there is not measured by itself; name one "
            "that makes items out of noise in one stage"
        )
    if pipeline.spec != first.media:
        raise ConfigError(
            f"evaluate: {pipeline.where}: items longer than the model's window are not measured; set extend.seconds=0"
        )


def fits(metric: Any, modality: str) -> bool:
    """Return whether a metric measures media of a modality: any, unless it names one."""
    return getattr(metric, "modality", None) in (None, modality)


def real_items(pipeline: Pipeline, data: DataSet, count: int) -> list[Real]:
    """Return items from all over the data, no more than ``count``; the middle of those that are too large.

    Raises:
        ConfigError: they are described by what the pipeline does not know.
    """
    count, spec = min(count, len(data)), pipeline.spec
    found = []
    for number in range(count):
        index = number * len(data) // count
        conditions, name = data.conditions(index), data.name(index)
        try:
            pipeline.stages[0].model.encode([conditions])
        except ConfigError as error:
            raise ConfigError(
                f"data: {printable(name)}: {error}; rename labels by --set data.rename='{{old = \"new\"}}', or go "
                "without by --set data.labels=none"
            ) from error
        tensor = data.item(index, start=0.5)
        found.append(Real(wrapped(pipeline.modality, tensor, spec, None), tensor, conditions, name))
    return found


def evaluated(
    pipeline: Pipeline,
    metrics: Mapping[str, Any],
    real: Sequence[Real],
    *,
    seed: int,
    batch_size: int,
    tell: Tell = untold,
) -> Iterator[tuple[str, Mapping[str, float]]]:
    """Give the figures of each metric as soon as they are known.

    Args:
        pipeline: what is measured.
        metrics: by name.
        real: the data.
        seed: of what is drawn; as many items are made as there are real ones, each of the same conditions.
        batch_size: items a call of the network.
        tell: is told how far it is; all that was begun is done by the time that figures are given.

    Raises:
        ConfigError: the pipeline cannot be measured by a metric.
        PluginError: a metric breaks its contract.
    """
    made: list[Media] | None = None
    too_much = f"evaluate: {pipeline.name}: {batch_size} items at a time do not fit into memory; lower --batch-size"
    for name, metric in metrics.items():
        needs = getattr(metric, "needs", "made")
        if needs not in ("made", "model"):
            raise PluginError(f'metric {name!r}: needs is {needs!r:.80}, expected "made" or "model"; fix the part')
        if needs == "made" and made is None:
            wishes = [one.conditions for one in real]
            steps = _Steps(f"making {len(real)} items", pipeline.steps * len(real), tell)
            made = [one.media for one in pipeline.make(wishes, seed=seed, batch_size=batch_size, observers=[steps])]

        def reached(items: int, name: str = name) -> None:
            tell(Work(name, items, len(real), "items"))

        reached(0)
        about = f"evaluate: metric {name}"
        with torch_kept(about, _owners(name)), plugins_named(about), memory_told(too_much):
            if needs == "model":
                figures = metric.compare(MeasuredModel(pipeline, seed, batch_size, reached), real)
            else:
                figures = metric.compare(made, [one.media for one in real])
        reached(len(real))
        yield name, _checked(figures, name)


class _Steps:
    """An observer that tells how many steps of all items are done."""

    every = 1
    needs_x0 = False

    def __init__(self, what: str, of: int, tell: Tell) -> None:
        self._what, self._of, self._tell, self._done = what, of, tell, 0

    def __call__(self, step: SamplingStep) -> None:
        self._done += len(step.x)
        self._tell(Work(self._what, self._done, self._of, "steps"))


def _owners(metric: str) -> Iterator[str]:
    """Give the distributions that have a metric of this name."""
    for part in current().plugins.parts("metric"):
        if metric in (part.name, part.full_name):
            yield part.plugin.distribution


def _checked(figures: object, name: str) -> dict[str, float]:
    """Return what a metric says, as numbers by name."""
    if isinstance(figures, Mapping) and figures:
        numbers = {str(key): value for key, value in figures.items() if _is_number(value)}
        if len(numbers) == len(figures):
            return {key: float(value) for key, value in numbers.items()}
    raise PluginError(
        f"metric {name!r} gave {figures!r:.80}, expected a mapping of names to finite numbers; fix the part"
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
