"""A pipeline: from a name and a few wishes to media, stage by stage."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ..diffusion.noise import Key
from ..diffusion.sampling import Observer
from ..errors import ConfigError
from ..machine.exhaustion import memory_told
from ..machine.memory import refuse_too_much
from ..media import MediaSpec, box
from ..registration.attribution import plugins_named
from ..registration.config import PipelineConfig
from .compiled import Compiler
from .editing import Edit, blended, edited, mixture, windows_of
from .enlarging import enlarged, made_from, source_of, tiles_of
from .extension import extended, longer, plan
from .interpolation import between, interpolated
from .made import Made, Planned, StageMade, digest, told_of_sources
from .modality import Modality
from .pretrained import decodes
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
        first = longer(self.stages[0].media, self.config.extend.seconds, where=self._where)
        return (first, *self.specs_from(first, self.stages[1:]))

    def specs_from(self, given: MediaSpec, stages: Sequence[Stage]) -> Iterator[MediaSpec]:
        """Give what each of some stages makes of something that is there already."""
        for stage in stages:
            if source_of(stage, where=self._where) is None:
                raise ConfigError(
                    f"{self._where}, stage {stage.config.name!r}: nothing of it takes what the stage before it makes; "
                    "give it a conditioner such as low-res, media or embedding"
                )
            given = made_from(stage, given, where=self._where)
            yield given

    def _refuse_embeddings(self) -> None:
        """Refuse embeddings where media are wanted, and where the next stage cannot make what is wanted of them."""
        last, seconds = self.stages[-1], self.config.extend.seconds
        if not decodes(last.codec):
            raise ConfigError(
                f"{self._where}, stage {last.config.name!r}: it makes embeddings, which are no media; put a stage with "
                "the conditioner embedding after it"
            )
        if seconds and any(taken is not None and taken.whole for taken in map(source_of, self.stages)):
            raise ConfigError(f"{self._where}: extend: what is made of one embedding does not go on; leave it out")

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
            f"{self._where}: none of its stages makes anything larger; name a pipeline that has a stage with the "
            "conditioner low-res"
        )

    @property
    def windows(self) -> tuple[int, ...]:
        """How many windows each stage makes for an item."""
        first, *others = self.specs
        begun = len(plan(self.stages[0], first, self.config.extend, where=self._where)[1])
        later = (len(tiles_of(stage, spec)) for stage, spec in zip(self.stages[1:], others, strict=True))
        return (begun, *later)

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
                f"{self._where}: its first stage makes larger what is there; use noiseform upscale "
                f"{self.modality.name}, or put a stage before it that makes something"
            )
        stage, spec = self.stages[0], self.specs[0]
        along = zip(self.windows, self.specs, strict=True)
        planned = [Planned(number, number, windows, made) for number, (windows, made) in enumerate(along)]
        refuse_too_much(self.spec.shape, stage.latent_shape, min(batch_size, len(conditions)))
        for start in range(0, len(conditions), batch_size):
            some = conditions[start : start + batch_size]
            keys = tuple(Key(seed, item=first + start + place) for place in range(len(some)))

            def begun(running: Running, some: Conditions = some) -> Result:
                latent = extended(running, spec, self.config.extend, some)
                return Result(spec, lambda: running.decoded(latent, spec.shape), latent, stage.config.codec)

            yield from self._made(some, keys, observers, begun, planned)

    def enlarging(self, spec: MediaSpec, factor: int | None = None) -> tuple[Planned, ...]:
        """Return which stages make an item larger, one after the other, and what they make of it.

        Args:
            spec: of the item.
            factor: how many times as many positions it is to have along the axes that grow; a power of what the
                pipeline makes at once, which is what is made if omitted.

        Raises:
            ConfigError: no stage takes such an item, or the factor is none of these.
        """
        spec = self._acceptable(spec)
        numbers = [number for number, stage in enumerate(self.stages) if source_of(stage) is not None]
        stages = [self.stages[number] for number in numbers]
        takens = [taken for taken in map(source_of, stages) if taken is not None]
        once = math.prod(max(taken.factors) for taken in takens)
        rounds = 1 if factor is None else round(math.log(factor, once)) if once > 1 and factor >= once else 0
        if factor is not None and once**rounds != factor:
            raise ConfigError(
                f"{self._where}: factor: it makes items {once} times as large, or a power of that, not {factor}; "
                "take another factor or another pipeline"
            )
        timed = any(taken.factors[axis] > 1 for taken in takens for axis, rate in enumerate(taken.spec.rates) if rate)
        if rounds > 1 and timed:
            raise ConfigError(
                f"{self._where}: factor: what it makes has the rate that it has learnt, so it makes {once} times as "
                "much once and no more; leave the factor out"
            )
        planned = []
        for again in range(rounds):
            for number, spec in zip(numbers, self.specs_from(spec, stages), strict=True):  # noqa: B020
                windows = len(tiles_of(self.stages[number], spec))
                planned.append(Planned(number, number + again * len(self.stages), windows, spec))
        return tuple(planned)

    def _acceptable(self, spec: MediaSpec) -> MediaSpec:
        """Return what is to be made larger, refused where it is larger already than what is made."""
        for had, made in zip(spec.rates, self.stages[-1].media.rates, strict=True):
            if had and made and had > made:
                raise ConfigError(
                    f"{self._where}: it makes {made:g} a second, and the item has {had:g} already; use another pipeline"
                )
        _ = self.takes
        return spec

    def enlarge(
        self,
        media: Tensor,
        spec: MediaSpec,
        condition: Mapping[str, object],
        *,
        seed: int,
        factor: int | None = None,
        observers: Sequence[Observer] = (),
    ) -> Made:
        """Make an item larger by those stages that go on from what is there.

        Args:
            media: the item (channels, \\*space).
            spec: its shape and rates.
            condition: what the item is, as for :meth:`make`.
            seed: of what is new.
            factor: see :meth:`enlarging`.
            observers: as for :meth:`make`.

        Raises: what :meth:`make` raises, and ConfigError where no stage takes such an item.
        """
        planned = self.enlarging(spec, factor)
        refuse_too_much(planned[-1].spec.shape, self.stages[planned[0].number].latent_shape, 1, "upscale")
        given = Result(spec, lambda: media[None])
        told = told_of_sources("upscale", [media], factor=factor)
        (made,) = self._made([condition], (Key(seed),), observers, given, planned, "upscale", told)
        return made

    def edit(
        self,
        media: Tensor,
        spec: MediaSpec,
        edit: Edit,
        conditions: Conditions,
        *,
        seed: int,
        first: int = 0,
        wished: Mapping[str, object] | None = None,
        observers: Sequence[Observer] = (),
    ) -> Iterator[Made]:
        """Make edited forms of an item, one for each of ``conditions``.

        Args:
            media: the item (channels, \\*space), of the size and rates that the first stage makes, but for its length,
                and for what is to be added to it.
            spec: its shape and rates.
            edit: what becomes of it.
            conditions: of each, as for :meth:`make`.
            seed: of all of them.
            first: number of the first.
            wished: what the user said of it, for the record.
            observers: as for :meth:`make`.

        Raises: what :meth:`make` raises.
        """
        stage, planned = self.editing(spec, edit)
        refuse_too_much(planned[-1].spec.shape, stage.latent_shape, 1, "edit")
        last = planned[-1].spec
        wish = {"mask": digest(edit.mask), "strength": edit.strength, "resample": edit.times}
        told = told_of_sources("edit", [media], **(wish if wished is None else wished))
        for number, condition in enumerate(conditions):

            def begun(running: Running, condition: Mapping[str, object] = condition) -> Result:
                latent = edited(running, media, spec, edit, self.config.extend, [condition])
                whole = tuple(max(pair) for pair in zip(spec.shape, stage.media.shape, strict=True))

                def decoded() -> Tensor:
                    return running.decoded(latent.to(self.device), whole).cpu()[box(map(slice, spec.shape[1:]))]

                return Result(spec, decoded, latent if whole == spec.shape else None, stage.config.codec)

            def finished(made: Tensor) -> Tensor:
                if last.shape != spec.shape or last.rates != spec.rates:
                    return made
                exact = len(planned) == 1 and stage.latent_shape == stage.media.shape
                return blended(made.cpu(), media, edit.mask, stage, exact=exact)

            key = Key(seed, item=first + number)
            yield from self._made([condition], (key,), observers, begun, planned, "edit", told, finished)

    def editing(self, spec: MediaSpec, edit: Edit) -> tuple[Stage, tuple[Planned, ...]]:
        """Return the stage that edits, and which stages run for an item."""
        if not self.starts_from_nothing:
            raise ConfigError(
                f"{self._where}: its first stage makes larger what is there, and cannot edit; name a pipeline that "
                "generates"
            )
        stage = self.stages[0]
        planned = [Planned(0, 0, windows_of(stage, edit, self.config.extend, spec, where=self._where), spec)]
        for number, made in enumerate(self.specs_from(spec, self.stages[1:]), 1):
            planned.append(Planned(number, number, len(tiles_of(self.stages[number], made)), made))
        return stage, tuple(planned)

    def mix(
        self,
        items: Tensor,
        shares: Sequence[float],
        condition: Mapping[str, object],
        *,
        seed: int,
        first: int = 0,
        observers: Sequence[Observer] = (),
    ) -> Iterator[Made]:
        """Make items between two.

        Args:
            items: the two (2, channels, \\*space), of one window of the first stage.
            shares: of the second in each that is made.
            condition: what they are.
            seed: of what later stages add.
            first: number of the first.
            observers: as for :meth:`make`.

        Raises: what :meth:`make` raises.
        """
        stage, spec = self.stages[0], self.stages[0].media
        planned = [Planned(0, 0, 1, spec)]
        for number, made in enumerate(self.specs_from(spec, self.stages[1:]), 1):
            planned.append(Planned(number, number, len(tiles_of(self.stages[number], made)), made))
        for number, share in enumerate(shares):

            def begun(running: Running, share: float = share) -> Result:
                latent = mixture(running, items, share, [condition])
                return Result(spec, lambda: running.decoded(latent, spec.shape), latent, stage.config.codec)

            told = told_of_sources("edit", list(items), at=share)
            key = Key(seed, item=first + number)
            yield from self._made([condition], (key,), observers, begun, planned, "edit", told)

    def interpolate(
        self,
        media: Tensor,
        spec: MediaSpec,
        factor: int,
        condition: Mapping[str, object],
        *,
        seed: int,
        observers: Sequence[Observer] = (),
    ) -> Made:
        """Make what lies between the moments of an item, by a model that has learnt to go on from key positions.

        Args:
            media: the item (channels, \\*space), of the size that the pipeline makes, but for its length.
            spec: its shape and rates.
            factor: how many times as many moments there will be.
            condition: what the item is, as for :meth:`make`.
            seed: of what is new.
            observers: as for :meth:`make`.

        Raises: what :meth:`make` raises, and ConfigError where the model has not learnt this.
        """
        result = between(spec, factor)
        refuse_too_much(result.shape, self.stages[0].latent_shape, 1, "interpolate")

        def whole(running: Running) -> Result:
            known = media[None].to(self.device)
            latent = interpolated(running, known, factor, self.config.extend.noise, condition)
            return Result(result, lambda: running.decoded(latent, result.shape))

        told = told_of_sources("interpolate", [media], factor=factor)
        (made,) = self._made(
            [condition], (Key(seed),), observers, whole, [Planned(0, 0, 1, result)], "interpolate", told
        )
        return made

    @property
    def _where(self) -> str:
        return f"pipeline {self.name!r}"

    def _made(
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
        with plugins_named(f"{doing}: {self.name}"), memory_told(too_much), torch.no_grad():
            for one in planned:
                mine = tuple(replace(key, stage=one.key) for key in keys)
                running = self._running(self.stages[one.number], mine, observers, one.windows)
                if result is None:
                    assert not isinstance(begun, Result), "something makes the first result"
                    result = begun(running)
                else:
                    result = enlarged(running, result, conditions)
                if one is planned[-1]:  # what comes before is decoded only where it is wanted
                    media = result.media if finished is None else finished(result.media)
                seconds = (time.perf_counter() - running.begun) / len(keys)
                took.append(StageMade(running.stage.config.name, running.rows // len(keys), seconds))
        assert result is not None, "there is a stage"
        seconds, nfe = (time.perf_counter() - at) / len(keys), sum(one.nfe for one in took)
        for key, condition, tensor in zip(keys, conditions, media, strict=True):
            record = {**self._record(key, condition, nfe, compiled=self._compiled_calls > compiled), **(told or {})}
            with plugins_named(f"{doing}: {self.name}"):
                item = self.modality.wrap(tensor, result.spec, record)
            yield Made(item, key.item, nfe, seconds, tuple(took))

    def _running(self, stage: Stage, keys: tuple[Key, ...], observers: Sequence[Observer], windows: int) -> Running:
        resample = getattr(self.modality, "resampled", None)
        return Running(self.name, stage, keys, self.device, self.dtype, observers, resample, windows)

    @property
    def _compiled_calls(self) -> int:
        return 0 if self.compiler is None else self.compiler.calls

    def _record(self, key: Key, condition: Mapping[str, object], nfe: int, *, compiled: bool) -> dict[str, object]:
        """Return how an item was made: enough to make it again, and nothing of this machine."""
        from ... import __version__

        away: Any = {"weights": True, "summary": True, "stages": {"__all__": {"weights"}}}
        return {
            "noiseform": __version__,
            "torch": torch.__version__.partition("+")[0],
            "pipeline": self.name,
            "config": self.config.model_dump(mode="json", exclude=away),
            "weights": dict(self.digests),
            "parts": sorted({str(part) for stage in self.stages for part in stage.parts}),
            "seed": key.seed,
            "item": key.item,
            "dtype": str(self.dtype).removeprefix("torch."),
            **({"compile": True} if compiled else {}),
            "nfe": nfe,
            "conditions": {
                name: list(value) if isinstance(value, tuple) else value for name, value in condition.items()
            },
        }
