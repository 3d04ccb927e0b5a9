"""A pipeline: from a name and a few wishes to media, stage by stage."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from .denoiser import Denoiser
from .errors import CheckpointError, ConfigError, NumericError, ResourceError
from .media import MediaSpec
from .memory import refuse_too_much
from .modality import Media, Modality
from .naming import printable
from .noise import Key
from .registration.config import PartConfig, PipelineConfig, StageConfig, checked
from .registration.registry import current
from .registration.settings import apply_settings
from .sampling import MAX_STEPS, Observer, sample
from .stage import Stage, build_stage
from .storage.model_folder import is_model_folder, load_model_folder
from .storage.model_parts import check_parts
from .storage.weights import assign
from .storage.weights_reference import resolve_weights

__all__ = ["Changes", "Made", "Pipeline", "SamplingRun", "load_pipeline"]


@dataclass(frozen=True)
class Changes:
    """What a user wants otherwise than the pipeline has it.

    Attributes:
        steps: number of steps.
        sampler: name of another sampler, or its table.
        grid: name of another grid, or its table.
        guidance: scale of classifier-free guidance.
        settings: ``path=value`` inside the pipeline, such as ``stages.base.codec.iterations=64``.
    """

    steps: int | None = None
    sampler: str | Mapping[str, object] | None = None
    grid: str | Mapping[str, object] | None = None
    guidance: float | None = None
    settings: tuple[str, ...] = ()

    def of_stage(self, stage: StageConfig) -> StageConfig:
        """Return a stage's table with these changes."""
        changed: dict[str, object] = {}
        if self.steps is not None:
            if not 1 <= self.steps <= MAX_STEPS:
                raise ConfigError(f"steps: expected a whole number from 1 to {MAX_STEPS}, got {self.steps}")
            changed["steps"] = self.steps
        for kind, wanted in (("sampler", self.sampler), ("grid", self.grid)):
            if wanted is not None:
                table = {"use": wanted} if isinstance(wanted, str) else wanted
                changed[kind] = checked(PartConfig, table, what=kind)
        if self.guidance is not None:
            before = stage.guidance if stage.guidance.use != "none" else PartConfig(use="cfg")
            changed["guidance"] = PartConfig.model_validate({**before.model_dump(), "scale": self.guidance})
        return stage.model_copy(update=changed)


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
        spec: shape and units of an item.
        stages: its stages.
        digests: sha256 of each stage's weights.
    """

    name: str
    config: PipelineConfig
    modality: Modality
    spec: MediaSpec
    stages: tuple[Stage, ...]
    digests: Mapping[str, str]
    device: str = "cpu"
    dtype: torch.dtype = torch.float32

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
            conditions: of each item, such as ``{"labels": ("seven",)}``.
            seed: of all of them.
            first: number of the first item; an item's draws depend on its number, not on which others are made.
            batch_size: items a call of the network; 1 gives the same bytes whatever else is made.
            observers: see ``core.sampling.Observer``; those of plugins are asked too.

        Raises:
            NumericError: a value is not finite; the message names the step or the codec.
            ResourceError: it does not fit into memory.
        """
        (stage,) = self.stages
        refuse_too_much(stage, batch_size)
        for start in range(0, len(conditions), batch_size):
            some = conditions[start : start + batch_size]
            keys = tuple(Key(seed, item=first + start + place) for place in range(len(some)))
            begun = time.perf_counter()
            try:
                tensors, rows = self._run(stage, some, keys, observers)
            except RuntimeError as error:
                if "allocate memory" in str(error) or "out of memory" in str(error):
                    raise ResourceError(
                        f"generate: {self.name}: {len(some)} items at a time do not fit into memory; lower --batch-size"
                    ) from error
                raise
            seconds = (time.perf_counter() - begun) / len(some)
            for key, condition, tensor in zip(keys, some, tensors, strict=True):
                nfe = rows // len(some)
                record = self._record(key, condition, nfe)
                yield Made(self.modality.wrap(tensor, self.spec, record), key.item, nfe, seconds)

    def _run(
        self,
        stage: Stage,
        conditions: Sequence[Mapping[str, object]],
        keys: tuple[Key, ...],
        observers: Sequence[Observer],
    ) -> tuple[Tensor, int]:
        """Return media (batch, \\*shape) and the rows that the network was called with."""
        run = SamplingRun(self.name, stage, keys, stage.config.steps)
        watching = (*observers, *current().plugins.observers("noiseform_sampling_observers", run))
        with torch.no_grad():
            raw = [
                {name: value.to(self.device) for name, value in one.items()} for one in stage.model.encode(conditions)
            ]
            denoise = Denoiser(stage.model.network, stage.objective.prediction, dtype=self.dtype)
            cond, null = stage.model.condition(raw), stage.model.condition(stage.model.null(raw))
            latent = sample(
                stage.guidance.wrap(denoise, cond, null),
                process=stage.process,
                sampler=stage.sampler,
                grid=stage.grid,
                steps=stage.config.steps,
                shape=stage.latent_shape,
                seeds=keys,
                device=self.device,
                observers=watching,
            )
            media = stage.codec.decode(latent, self.spec.shape)
        if not bool(torch.isfinite(media).all()):
            raise NumericError(
                f"generate: {self.name}: codec {stage.config.codec.use!r} gave values that are not finite; "
                "use float32, or less guidance"
            )
        return media, denoise.rows

    def _record(self, key: Key, condition: Mapping[str, object], nfe: int) -> dict[str, object]:
        """Return how an item was made: enough to make it again, and nothing of this machine."""
        from .. import __version__

        return {
            "noiseform": __version__,
            "torch": torch.__version__.partition("+")[0],
            "pipeline": self.name,
            "config": self.config.model_dump(mode="json", exclude={"weights", "summary"}),
            "weights": dict(self.digests),
            "parts": sorted({str(part) for stage in self.stages for part in stage.parts}),
            "seed": key.seed,
            "item": key.item,
            "nfe": nfe,
            "conditions": {
                name: list(value) if isinstance(value, tuple) else value for name, value in condition.items()
            },
        }


def load_pipeline(
    wanted: str | None,
    modality: str,
    *,
    changes: Changes | None = None,
    config: PipelineConfig | None = None,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
    allow_nonfinite: bool = False,
) -> Pipeline:
    """Return a pipeline with its weights.

    Args:
        wanted: its name in the registry, or the path of a model folder; the modality's default where None.
        modality: what it must make.
        changes: laid over its configuration.
        config: in the place of its own configuration, as when a file is made again.
        device: where the networks run.
        dtype: what they compute in.
        allow_nonfinite: accept weights that are not finite.

    Raises:
        ConfigError: there is no such pipeline, it makes something else, or a change does not fit.
        CheckpointError: the weights are damaged, or do not fit the configuration.
        PluginError: it needs a plugin that is not there.
    """
    from .registration.build import build

    changes = changes or Changes()
    name, own, folder = _found(wanted, modality, changes)
    config = config or own
    if config.modality != modality:
        raise ConfigError(
            f"pipeline {name!r}: it makes {config.modality}, not {modality}; "
            f"try noiseform generate {config.modality} {name}"
        )
    if len(config.stages) > 1:
        raise ConfigError(f"pipeline {name!r}: it has {len(config.stages)} stages; this version runs single stages")
    config = config.model_copy(update={"stages": [changes.of_stage(stage) for stage in config.stages]})
    model, weights = load_model_folder(folder, allow_nonfinite=allow_nonfinite)
    known = current().plugins
    for warning in check_parts(model.parts, lambda part: known.version_of(part.kind, part.name, part.distribution)):
        warnings.warn(warning, stacklevel=2)
    kind = build("modality", modality)
    spec = kind.spec(config.media)
    stages = []
    for table in config.stages:
        if table.name not in weights:
            raise CheckpointError(f"model: {printable(folder)}: it has no weights of stage {table.name!r}; train it")
        with torch.random.fork_rng(devices=[]):  # initial weights are drawn, and then replaced
            stage = build_stage(table, spec, where=f"pipeline {name!r}")
        source = f"weights: {printable(folder / model.stages[table.name])}"
        assign(stage.model, weights[table.name], allow_dtype_cast=True, source=source)
        module = stage.model.eval().requires_grad_(False).to(device=device, dtype=dtype)
        stages.append(replace(stage, model=module))
    digests = {stage.config.name: model.sha256(stage.config.name) for stage in stages}
    return Pipeline(name, config, kind, spec, tuple(stages), digests, device, dtype)


def _found(wanted: str | None, modality: str, changes: Changes) -> tuple[str, PipelineConfig, Path]:
    """Return name, configuration and model folder of a pipeline."""
    registry = current()
    name = wanted or registry.defaults.get(modality)
    if name is None:
        raise ConfigError(f"generate: no default pipeline makes {modality}; name one (noiseform list pipeline)")
    path = Path(name).expanduser()
    if ("/" in name or name.startswith(".")) and is_model_folder(path):
        from .storage.model_folder import read_model_folder

        table = apply_settings(read_model_folder(path).pipeline, changes.settings)
        return path.resolve().name, checked(PipelineConfig, table, what=f"model {printable(path)}"), path
    try:
        config = registry.pipeline(name, settings=changes.settings)
    except ConfigError:
        if is_model_folder(path):
            raise ConfigError(
                f"pipeline {name!r}: not in the registry; for the folder of this name write ./{name}"
            ) from None
        if path.is_dir():
            raise CheckpointError(
                f"model: {printable(path)}: no model folder (manifest.json is missing); name one that `train` made"
            ) from None
        raise
    if config.weights is None:
        raise ConfigError(f"pipeline {name!r}: it names no weights; add weights = FOLDER, or train it")
    return name, config, resolve_weights(config.weights)
