"""A pipeline: from a name and a few wishes to media, stage by stage."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from ..diffusion.noise import Key
from ..diffusion.sampling import Observer
from ..errors import ConfigError
from ..machine.exhaustion import memory_told
from ..machine.memory import refuse_too_much
from ..media import MediaSpec
from ..registration.attribution import plugins_named, torch_kept
from ..registration.config import PipelineConfig
from .compiled import Compiler
from .enlarging import enlarged, made_from, source_of, tiles_of
from .extension import extended, longer, plan
from .made import Made, Planned, StageMade
from .modality import Modality, wrapped
from .pretrained import decodes
from .required import modality_required
from .running import Conditions, Result, Running
from .stage import Stage

__all__ = ["Pipeline"]


@dataclass(frozen=True)
class Pipeline:
    """A pipeline with its weights, ready to make media.

    Attributes:
        name: in the registry, or of the model's folder.
        config: what it was built from, with all changes.
        modality: what it makes.
        stages: its stages, each of which goes on from what the one before it made.
        digests: sha256 of each stage's weights.
        compiler: of their networks; None where they run as they are.
    """

    name: str
    config: PipelineConfig
    modality: Modality
    stages: tuple[Stage, ...]
    digests: Mapping[str, str]
    device: str = "cpu"
    dtype: torch.dtype = torch.float32
    compiler: Compiler | None = None

    @property
    def specs(self) -> tuple[MediaSpec, ...]:
        """Shape and units of what each stage makes, which may be larger than the window that it sees.

        Raises:
            ConfigError: a stage cannot go on from the one before it, or the last one makes no media.
        """
        self._refuse_embeddings()
        first = longer(self.stages[0].media, self.config.extend.seconds, where=self.where)
        return (first, *self.specs_from(first, self.stages[1:]))

    def specs_from(self, given: MediaSpec, stages: Sequence[Stage]) -> Iterator[MediaSpec]:
        """Give what each of some stages makes of something that is there already."""
        for stage in stages:
            if source_of(stage, where=self.where) is None:
                raise ConfigError(
                    f"{self.where}, stage {stage.config.name!r}: nothing of it takes what the stage before it makes; "
                    "give it a conditioner such as low-res, media or embedding"
                )
            given = made_from(stage, given, where=self.where)
            yield given

    def _refuse_embeddings(self) -> None:
        """Refuse embeddings where media are wanted, and where the next stage cannot make what is wanted of them."""
        last, seconds = self.stages[-1], self.config.extend.seconds
        if not decodes(last.codec):
            raise ConfigError(
                f"{self.where}, stage {last.config.name!r}: it makes embeddings, which are no media; put a stage with "
                "the conditioner embedding after it"
            )
        if seconds and any(taken is not None and taken.whole for taken in map(source_of, self.stages)):
            raise ConfigError(f"{self.where}: extend: what is made of one embedding does not go on; leave it out")

    @property
    def spec(self) -> MediaSpec:
        """Shape and units of an item."""
        return self.specs[-1]

    @property
    def starts_from_nothing(self) -> bool:
        """Whether it makes items out of noise alone; others make larger what is there."""
        return source_of(self.stages[0]) is None

    @property
    def takes(self) -> MediaSpec:
        """What the first stage that makes something larger takes.

        Raises:
            ConfigError: there is none.
        """
        for stage in self.stages:
            taken = source_of(stage)
            if taken is not None:
                return taken.spec
        raise ConfigError(
            f"{self.where}: none of its stages makes anything larger; name a pipeline that has a stage with the "
            "conditioner low-res"
        )

    @property
    def windows(self) -> tuple[int, ...]:
        """How many windows each stage makes for an item."""
        first = self.specs[0]
        begun = len(plan(self.stages[0], first, self.config.extend, where=self.where)[1])
        return (begun, *(one.windows for one in self.later(first)))

    def later(self, given: MediaSpec) -> tuple[Planned, ...]:
        """Return what all stages but the first one do with something that the first one made."""
        others = zip(self.stages[1:], self.specs_from(given, self.stages[1:]), strict=True)
        return tuple(Planned(n, n, len(tiles_of(stage, spec)), spec) for n, (stage, spec) in enumerate(others, 1))

    @property
    def steps(self) -> int:
        """How many steps an item takes in all."""
        return sum(stage.config.steps * count for stage, count in zip(self.stages, self.windows, strict=True))

    def make(
        self,
        conditions: Conditions,
        *,
        seed: int,
        first: int = 0,
        batch_size: int = 1,
        observers: Sequence[Observer] = (),
    ) -> Iterator[Made]:
        """Make one item for each of ``conditions``, and give each as soon as it is done.

        Args:
            conditions: of each item, such as ``{"labels": ("seven",)}``; what guidance is to lead away from stands in
                ``negative_labels`` and ``negative_text``.
            seed: of all of them.
            first: number of the first item; an item's draws depend on its number, not on which others are made.
            batch_size: items a call of the network; 1 gives the same bytes whatever else is made.
            observers: see ``core.diffusion.sampling.Observer``; those of plugins are asked too. One with ``begin(run)``
                is told of each stage before it runs.

        Raises:
            ConfigError: the first stage makes something of what is there, or a wish is none of the model's.
            NumericError: a value is not finite; the message names the step or the codec.
            PluginError: a plugin's code raises, or a part breaks its contract.
            ResourceError: it does not fit into memory.
        """
        if not self.starts_from_nothing:
            raise ConfigError(
                f"{self.where}: its first stage makes larger what is there; use noiseform upscale "
                f"{self.modality.name}, or put a stage before it that makes something"
            )
        stage, spec = self.stages[0], self.specs[0]
        along = zip(self.windows, self.specs, strict=True)
        planned = [Planned(number, number, windows, made) for number, (windows, made) in enumerate(along)]
        refuse_too_much(self.spec.shape, stage.latent_shape, min(batch_size, len(conditions)), device=self.device)
        for start in range(0, len(conditions), batch_size):
            some = conditions[start : start + batch_size]
            keys = tuple(Key(seed, item=first + start + place) for place in range(len(some)))

            def begun(running: Running, some: Conditions = some) -> Result:
                latent = extended(running, spec, self.config.extend, some)
                return Result(spec, lambda: running.decoded(latent, spec.shape), latent, stage.config.codec)

            yield from self.run(some, keys, observers, begun, planned)

    @property
    def where(self) -> str:
        """Return what messages call it."""
        return f"pipeline {self.name!r}"

    def run(
        self,
        conditions: Conditions,
        keys: tuple[Key, ...],
        observers: Sequence[Observer],
        begun: Result | Callable[[Running], Result],
        planned: Sequence[Planned],
        doing: str = "generate",
        told: Mapping[str, object] | None = None,
        finished: Callable[[Tensor], Tensor] | None = None,
    ) -> Iterator[Made]:
        """Run stages one after the other on a few items.

        Args:
            conditions: of each item.
            keys: of each item.
            observers: watch the steps.
            begun: what is there already, or what makes it with the first of the stages.
            planned: the stages that run.
            doing: what it is about, for messages.
            told: what else the items' records say.
            finished: what becomes of the media in the end.
        """
        at, compiled, took = time.perf_counter(), self._compiled_calls, list[StageMade]()
        too_much = f"{doing}: {self.name}: {len(keys)} items at a time do not fit into memory; lower --batch-size"
        result = begun if isinstance(begun, Result) else None
        about = f"{doing}: {self.name}"
        owners = {part.distribution for one in planned for part in self.stages[one.number].parts}
        with torch_kept(about, owners), plugins_named(about), memory_told(too_much), torch.no_grad():
            for one in planned:
                mine = tuple(replace(key, stage=one.key) for key in keys)
                running = self._running(self.stages[one.number], mine, observers, one)
                if result is None:
                    assert not isinstance(begun, Result), "something makes the first result"
                    result = begun(running)
                else:
                    result = enlarged(running, result, conditions)
                if one is planned[-1]:  # what comes before is decoded only where it is wanted
                    media = result.media if finished is None else finished(result.media)
                seconds = (time.perf_counter() - running.begun) / len(keys)
                took.append(StageMade(running.called, running.rows // len(keys), seconds))
        assert result is not None, "there is a stage"
        seconds, nfe = (time.perf_counter() - at) / len(keys), sum(one.nfe for one in took)
        for key, condition, tensor in zip(keys, conditions, media, strict=True):
            record = {**self._record(key, condition, nfe, compiled=self._compiled_calls > compiled), **(told or {})}
            with plugins_named(about):
                item = wrapped(self.modality, tensor, result.spec, record)
            yield Made(item, key.item, nfe, seconds, tuple(took))

    def _running(self, stage: Stage, keys: tuple[Key, ...], observers: Sequence[Observer], plan: Planned) -> Running:
        resample, called = getattr(self.modality, "resampled", None), plan.name(stage.config.name)
        return Running(self.name, stage, keys, self.device, self.dtype, observers, resample, plan.windows, called)

    @property
    def _compiled_calls(self) -> int:
        return 0 if self.compiler is None else self.compiler.calls

    def _record(self, key: Key, condition: Mapping[str, object], nfe: int, *, compiled: bool) -> dict[str, object]:
        """Return how an item was made: enough to make it again, and nothing of this machine."""
        from ... import __version__

        modality = modality_required(self.config.modality)
        away: Any = {"weights": True, "summary": True, "stages": {"__all__": {"weights"}}}
        return {
            "noiseform": __version__,
            "torch": torch.__version__.partition("+")[0],
            "pipeline": self.name,
            "config": self.config.model_dump(mode="json", exclude=away),
            "weights": dict(self.digests),
            "parts": sorted({str(part) for part in (*modality, *chain(*(stage.parts for stage in self.stages)))}),
            "seed": key.seed,
            "item": key.item,
            "dtype": str(self.dtype).removeprefix("torch."),
            **({"compile": True} if compiled else {}),
            "nfe": nfe,
            "conditions": {
                name: list(value) if isinstance(value, tuple) else value for name, value in condition.items()
            },
        }
