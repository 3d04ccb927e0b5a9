"""Pipelines found, laid over with a user's changes, built and filled with their weights."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from ..errors import CheckpointError, ConfigError
from ..limits import MAX_STEPS
from ..naming import printable
from ..registration.attribution import plugins_named
from ..registration.build import build
from ..registration.config import ExtendConfig, PartConfig, PipelineConfig, StageConfig, checked
from ..registration.defaults import with_defaults_named
from ..registration.registry import current
from ..registration.settings import apply_settings, parse_setting
from ..storage.manifest import MANIFEST
from ..storage.model_folder import ModelFolder, load_model_folder, read_model_folder
from ..storage.model_parts import RequiredPart, check_parts
from ..storage.weights import assign_frozen
from .classifier import CLASSIFIER
from .compiled import Compiler
from .extension import longer, plan
from .guide_loading import guide_entry, load_guide
from .modality import Modality
from .pipeline import Pipeline
from .pretrained import CODEC, codec_entry, has_weights
from .stage import Stage, build_stage
from .trained import of_owners, refuse_untrained

__all__ = ["Changes", "load_pipeline"]


@dataclass(frozen=True)
class Changes:
    """What a user wants otherwise than the pipeline has it.

    Attributes:
        steps: number of steps.
        sampler: name of another sampler, or its table.
        grid: name of another grid, or its table.
        guidance: scale of classifier-free guidance.
        seconds: length of an item, or of its first window where it is extended.
        extend: how many seconds an item goes on after that.
        settings: ``path=value`` inside the pipeline, such as ``stages.base.codec.iterations=64``.
    """

    steps: int | None = None
    sampler: str | Mapping[str, object] | None = None
    grid: str | Mapping[str, object] | None = None
    guidance: float | None = None
    seconds: float | None = None
    extend: float | None = None
    settings: tuple[str, ...] = ()

    def of_length(self, config: PipelineConfig, modality: Modality) -> PipelineConfig:
        """Return a pipeline's configuration with items of the length asked for.

        Raises:
            ConfigError: they have none, or it is out of bounds.
        """
        changed: dict[str, object] = {}
        if self.seconds is not None:
            lasting = getattr(modality, "lasting", None)
            if lasting is None:
                raise ConfigError(f"seconds: items of {modality.name} have no length; leave it out")
            changed["media"] = lasting(config.media, self.seconds)
        if self.extend is not None:
            table = {**config.extend.model_dump(), "seconds": self.extend}
            changed["extend"] = checked(ExtendConfig, table, what="extend")
        return config.model_copy(update=changed)

    def of_stage(self, stage: StageConfig) -> StageConfig:
        """Return a stage's table with these changes."""
        changed: dict[str, object] = {}
        if self.steps is not None:
            if type(self.steps) is not int or not 1 <= self.steps <= MAX_STEPS:
                raise ConfigError(f"steps: expected a whole number from 1 to {MAX_STEPS}, got {self.steps!r}")
            changed["steps"] = self.steps
        for kind, wanted in (("sampler", self.sampler), ("grid", self.grid)):
            if wanted is not None:
                table = {"use": wanted} if isinstance(wanted, str) else wanted
                changed[kind] = checked(PartConfig, table, what=kind)
        if self.guidance is not None:
            before = stage.guidance if stage.guidance.use != "none" else PartConfig(use="cfg").of("noiseform")
            guidance = PartConfig.model_validate({**before.model_dump(), "scale": self.guidance})
            changed["guidance"] = guidance.of(*before.owners)
        return stage.model_copy(update=changed)

    @property
    def named(self) -> set[str]:
        """The kinds whose part a setting names: ``sampler`` of ``stages.base.sampler.use=heun``."""
        paths = [tuple(map(str, parse_setting(setting)[0])) for setting in self.settings]
        return {path[-2] if path[-1] == "use" and len(path) > 1 else path[-1] for path in paths}


def load_pipeline(
    wanted: str | None,
    modality: str,
    *,
    changes: Changes | None = None,
    config: PipelineConfig | None = None,
    parts: Sequence[RequiredPart] = (),
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
    compiler: Compiler | None = None,
    allow_nonfinite: bool = False,
) -> Pipeline:
    """Return a pipeline with its weights.

    Args:
        wanted: its name in the registry, or the path of a model folder; the modality's default where None.
        modality: what it must make.
        changes: laid over its configuration.
        config: in the place of its own configuration, as when a file is made again.
        parts: what that configuration was made with.
        device: where the networks run.
        dtype: what they compute in.
        compiler: of the networks; None runs them as they are.
        allow_nonfinite: accept weights that are not finite.

    Raises:
        ConfigError: there is no such pipeline, it makes something else, or a change does not fit.
        CheckpointError: the weights are damaged, or do not fit the configuration.
        PluginError: it needs a plugin that is not there.
    """
    changes = changes or Changes()
    name, own, folder, owners = _found(wanted, modality, changes)
    config = config or own
    if config.modality != modality:
        raise ConfigError(
            f"pipeline {name!r}: it makes {config.modality}, not {modality}; "
            f"try noiseform generate {config.modality} {name}"
        )
    if len(config.stages) > 1:
        raise ConfigError(f"pipeline {name!r}: it has {len(config.stages)} stages; this version runs single stages")
    model = read_model_folder(folder)
    config = of_owners(config, (*model.parts, *parts), otherwise=owners, explicit=changes.named)
    config = config.model_copy(update={"stages": [changes.of_stage(stage) for stage in config.stages]})
    config = with_defaults_named(config)
    known = current().plugins
    for warning in check_parts(model.parts, lambda part: known.version_of(part.kind, part.name, part.distribution)):
        warnings.warn(warning, stacklevel=2)
    kind = build("modality", modality)
    config = changes.of_length(config, kind)
    with torch.random.fork_rng(devices=[]), plugins_named(f"pipeline {name!r}"):  # initial weights are drawn
        window = kind.spec(config.media)
        spec = longer(window, config.extend.seconds, where=f"pipeline {name!r}")
        stages = [build_stage(table, window, where=f"pipeline {name!r}", folder=folder) for table in config.stages]
        for stage in stages:
            plan(stage, spec, config.extend, where=f"pipeline {name!r}")
    refuse_untrained(config, model.pipeline, model.parts, where=f"pipeline {name!r}")
    model, weights = load_model_folder(folder, allow_nonfinite=allow_nonfinite)  # last: it takes longest
    for stage in stages:
        _fill(stage, model, weights, device, dtype)
    digests = {name: model.sha256(name) for name in model.stages}

    def beside(folder: str) -> Pipeline:
        return load_pipeline(
            folder, modality, device=device, dtype=dtype, compiler=compiler, allow_nonfinite=allow_nonfinite
        )

    for number, stage in enumerate(stages):
        guide = load_guide(stage, beside, where=f"pipeline {name!r}", device=device)
        if guide is not None:
            stages[number] = replace(stage, guide=guide)
            digests[guide_entry(stage.config.name)] = guide.sha256
    if compiler is not None:
        stages = [replace(stage, compiled=compiler.of(stage.model.network)) for stage in stages]
    return Pipeline(name, config, kind, spec, tuple(stages), digests, device, dtype, compiler)


def _fill(
    stage: Stage, model: ModelFolder, weights: Mapping[str, Mapping[str, Tensor]], device: str, dtype: torch.dtype
) -> None:
    """Put their weights into a stage's network, conditioners and codec, and make them ready to run."""
    for name, learnt in ((stage.config.name, stage.model), (codec_entry(stage.config.name), stage.codec)):
        if not has_weights(learnt):
            continue
        if name not in weights:
            raise CheckpointError(f"model: {printable(model.folder)}: it has no weights of stage {name!r}; train it")
        assign_frozen(learnt, weights[name], source=f"weights: {printable(model.folder / model.stages[name])}")
        learnt.to(device)
    stage.model.to(dtype=dtype)


def _found(wanted: str | None, modality: str, changes: Changes) -> tuple[str, PipelineConfig, Path, tuple[str, ...]]:
    """Return name, configuration and model folder of a pipeline, and whose parts its short names mean."""
    registry = current()
    name = registry.default_pipeline(modality) if wanted is None else wanted
    if name is None:
        raise ConfigError(f"generate: no default pipeline makes {modality}; name one (noiseform list pipeline)")
    path = Path(os.path.expanduser(name))
    if ("/" in name or name.startswith(".")) and os.path.isfile(path / MANIFEST):
        table = apply_settings(read_model_folder(path).pipeline, changes.settings)
        if CODEC in table and "stages" not in table:
            raise ConfigError(
                f"model {printable(path)}: a codec, which makes nothing by itself; "
                f'name it in a recipe: codec = {{ use = "...", weights = "{printable(path)}" }}'
            )
        if CLASSIFIER in table and "stages" not in table:
            raise ConfigError(
                f"model {printable(path)}: a classifier, which makes nothing by itself; it guides a pipeline: "
                f'guidance = {{ use = "classifier", weights = "{printable(path)}" }}'
            )
        return path.resolve().name, checked(PipelineConfig, table, what=f"model {printable(path)}"), path, ()
    try:
        config = registry.pipeline(name, settings=changes.settings)
    except ConfigError:
        if os.path.isfile(path / MANIFEST):
            raise ConfigError(
                f"pipeline {name!r}: not in the registry; for the folder of this name write ./{name}"
            ) from None
        if os.path.isfile(path):
            raise ConfigError(
                f"model: {printable(path)}: is a file, not a model folder; "
                "a recipe is trained first (noiseform train), then name the run's folder"
            ) from None
        if os.path.isdir(path):
            raise CheckpointError(
                f"model: {printable(path)}: no model folder (manifest.json is missing); name one that `train` made"
            ) from None
        if name.startswith((".", "/", "~")):
            raise ConfigError(
                f"model: {printable(path)}: there is no such folder; name one that `train` made"
            ) from None
        raise
    return name, config, registry.model_folder(name), registry.owners(name)
