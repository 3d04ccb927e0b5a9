"""A pipeline: from a name and a few wishes to media, stage by stage."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..contract import check_tensor
from ..diffusion.denoiser import Denoiser
from ..diffusion.guided import Guided
from ..diffusion.noise import Key
from ..diffusion.sampling import Observer, sample
from ..errors import NumericError
from ..machine.exhaustion import memory_told
from ..machine.memory import refuse_too_much
from ..media import MediaSpec
from ..registration.attribution import plugins_named
from ..registration.config import PipelineConfig
from ..registration.registry import current
from .compiled import Compiler
from .context import held
from .extension import Windowed, extended, plan
from .interpolation import between, interpolated
from .modality import Media, Modality
from .stage import Stage
from .wishes import heard

__all__ = ["Made", "Pipeline", "SamplingRun"]


@dataclass(frozen=True)
class SamplingRun:
    """What the factories of sampling observers are told.

    Attributes:
        pipeline: name of the pipeline.
        stage: the stage that runs.
        keys: whose items are made.
        steps: number of steps.
    """

    pipeline: str
    stage: Stage
    keys: tuple[Key, ...]
    steps: int


@dataclass(frozen=True)
class Made:
    """One item with what its making took.

    Attributes:
        media: the item.
        item: its number.
        nfe: network forward passes.
        seconds: its share of the time.
    """

    media: Media
    item: int
    nfe: int
    seconds: float


@dataclass(frozen=True)
class Pipeline:
    """A pipeline with its weights, ready to make media.

    Attributes:
        name: in the registry, or of the model's folder.
        config: what it was built from, with all changes.
        modality: what it makes.
        spec: shape and units of an item, which may be longer than the window that the stages see.
        stages: its stages.
        digests: sha256 of each stage's weights.
        compiler: of their networks; None where they run as they are.
    """

    name: str
    config: PipelineConfig
    modality: Modality
    spec: MediaSpec
    stages: tuple[Stage, ...]
    digests: Mapping[str, str]
    device: str = "cpu"
    dtype: torch.dtype = torch.float32
    compiler: Compiler | None = None

    @property
    def windows(self) -> int:
        """How many windows an item is made of."""
        (stage,) = self.stages
        return len(plan(stage, self.spec, self.config.extend, where=self._where)[1])

    def make(
        self,
        conditions: Sequence[Mapping[str, object]],
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
            observers: see ``core.diffusion.sampling.Observer``; those of plugins are asked too.

        Raises:
            NumericError: a value is not finite; the message names the step or the codec.
            PluginError: a plugin's code raises, or a part breaks its contract.
            ResourceError: it does not fit into memory.
        """
        (stage,) = self.stages
        refuse_too_much(self.spec.shape, stage.latent_shape, min(batch_size, len(conditions)))
        for start in range(0, len(conditions), batch_size):
            some = conditions[start : start + batch_size]
            keys = tuple(Key(seed, item=first + start + place) for place in range(len(some)))
            begun, compiled = time.perf_counter(), self._compiled_calls

            def whole(
                window: Windowed, some: Sequence[Mapping[str, object]] = some, keys: tuple[Key, ...] = keys
            ) -> Tensor:
                return extended(stage, self.spec, self.config.extend, window, some, keys, where=self._where)

            with plugins_named(f"generate: {self.name}"):
                tensors, rows = self._run(stage, self.spec, keys, observers, whole)
            seconds = (time.perf_counter() - begun) / len(some)
            for key, condition, tensor in zip(keys, some, tensors, strict=True):
                nfe = rows // len(some)
                record = self._record(key, condition, nfe, compiled=self._compiled_calls > compiled)
                with plugins_named(f"generate: {self.name}"):
                    media = self.modality.wrap(tensor, self.spec, record)
                yield Made(media, key.item, nfe, seconds)

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
        (stage,) = self.stages
        key, begun = Key(seed), time.perf_counter()
        result = between(spec, factor)
        refuse_too_much(result.shape, stage.latent_shape, 1, "interpolate")

        def whole(window: Windowed) -> Tensor:
            noise = self.config.extend.noise
            return interpolated(
                stage, media[None].to(self.device), factor, noise, window, condition, key, where=self._where
            )

        with plugins_named(f"interpolate: {self.name}"):
            tensors, rows = self._run(stage, result, (key,), observers, whole)
            record = {
                **self._record(key, condition, rows, compiled=False),
                "source": hashlib.sha256(media.contiguous().cpu().numpy().data).hexdigest(),
                "interpolate": factor,
            }
            made = self.modality.wrap(tensors[0], result, record)
        return Made(made, 0, rows, time.perf_counter() - begun)

    @property
    def _where(self) -> str:
        return f"pipeline {self.name!r}"

    def _run(
        self,
        stage: Stage,
        spec: MediaSpec,
        keys: tuple[Key, ...],
        observers: Sequence[Observer],
        whole: Callable[[Windowed], Tensor],
    ) -> tuple[Tensor, int]:
        """Return media (batch, \\*shape) and the rows that the network was called with.

        Args:
            stage: makes windows.
            spec: of the media.
            keys: of the items.
            observers: watch the steps.
            whole: makes latents (batch, channels, \\*space), given what makes a window.
        """
        run = SamplingRun(self.name, stage, keys, stage.config.steps)
        watching = (*observers, *current().plugins.observers("noiseform_sampling_observers", run))
        too_much = f"generate: {self.name}: {len(keys)} items at a time do not fit into memory; lower --batch-size"
        rows = 0

        def window(conditions: Sequence[Mapping[str, object]], keys: tuple[Key, ...]) -> Tensor:
            nonlocal rows
            latent, called = self._sampled(stage, conditions, keys, watching)
            rows += called
            return latent

        with torch.no_grad(), memory_told(too_much):
            decoded = stage.codec.decode(whole(window), spec.shape)
        of = f"codec {stage.config.codec.use!r}: decode"
        media = check_tensor(decoded, (len(keys), *spec.shape), of=of)
        if not bool(torch.isfinite(media).all()):
            raise NumericError(
                f"generate: {self.name}: codec {stage.config.codec.use!r} gave values that are not finite; "
                "use float32, or less guidance"
            )
        return media, rows

    def _sampled(
        self,
        stage: Stage,
        conditions: Sequence[Mapping[str, object]],
        keys: tuple[Key, ...],
        observers: Sequence[Observer],
    ) -> tuple[Tensor, int]:
        """Return latents of one window (batch, \\*latent_shape) and the rows that the network was called with."""
        cond, null, guide = heard(stage, conditions, self.device)
        denoise = Denoiser(stage.network, stage.objective.prediction, dtype=self.dtype)
        given = {} if guide is None else {"guide": guide}
        guided = Guided(stage.guidance, denoise, cond, null, of=f"guidance {stage.config.guidance.use!r}", given=given)
        latent = sample(
            held(guided, conditions, self.device),
            process=stage.process,
            sampler=stage.sampler,
            grid=stage.grid,
            steps=stage.config.steps,
            shape=stage.latent_shape,
            seeds=keys,
            device=self.device,
            observers=observers,
        )
        return latent, denoise.rows + (0 if guide is None else guide.rows)

    @property
    def _compiled_calls(self) -> int:
        return 0 if self.compiler is None else self.compiler.calls

    def _record(self, key: Key, condition: Mapping[str, object], nfe: int, *, compiled: bool) -> dict[str, object]:
        """Return how an item was made: enough to make it again, and nothing of this machine."""
        from ... import __version__

        return {
            "noiseform": __version__,
            "torch": torch.__version__.partition("+")[0],
            "pipeline": self.name,
            "config": self.config.model_dump(mode="json", exclude={"weights", "summary"}),
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
