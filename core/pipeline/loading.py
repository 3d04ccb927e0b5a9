"""Pipelines found, laid over with a user's overrides, built and filled with their weights."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor

from ..errors import CheckpointError, ConfigError
from ..naming import printable
from ..registration.attribution import plugins_named
from ..registration.config import PipelineConfig, checked
from ..registration.defaults import with_defaults_named
from ..registration.registry import current
from ..registration.settings import apply_settings
from ..registration.stage_weights import entry_of
from ..storage.manifest import MANIFEST
from ..storage.model_folder import ModelFolder, load_model_folder, read_model_folder
from ..storage.model_parts import RequiredPart
from ..storage.weights import assign_frozen
from .compiled import Compiler
from .guide_loading import guide_entry, load_guide
from .modality import spec_of
from .overrides import Overrides
from .pipeline import Pipeline
from .pretrained import codec_entry, has_weights, refuse_other_encoder
from .required import check_installed, modality_of
from .stage import Stage, build_stage
from .trained import of_owners, refuse_untrained
from .usage import helper_of, usage

__all__ = ["described", "load_pipeline"]


def load_pipeline(
    wanted: str | None,
    modality: str,
    *,
    overrides: Overrides | None = None,
    config: PipelineConfig | None = None,
    parts: Sequence[RequiredPart] = (),
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
    compiler: Compiler | None = None,
    allow_nonfinite: bool = False,
    upscale: bool = False,
) -> Pipeline:
    """Return a pipeline with its weights.

    Args:
        wanted: its name in the registry, or the path of a model folder; the modality's default where None.
        modality: what it must make.
        overrides: laid over its configuration.
        config: in the place of its own configuration, as when a file is made again.
        parts: what that configuration was made with.
        device: where the networks run.
        dtype: what they compute in.
        compiler: of the networks; None runs them as they are.
        allow_nonfinite: accept weights that are not finite.
        upscale: it is to make larger what is there.

    Raises:
        ConfigError: there is no such pipeline, it makes something else, or a change does not fit.
        CheckpointError: the weights are damaged, or do not fit the configuration.
        PluginError: it needs a plugin that is not there.
    """
    overrides = overrides or Overrides()
    name, own, folders, owners = _found(wanted, modality, overrides, upscale)
    config = config or own
    if config.modality != modality:
        raise ConfigError(
            f"pipeline {name!r}: it makes {config.modality}, not {modality}; "
            f"try noiseform generate {config.modality} {name}"
        )
    where = f"pipeline {name!r}"
    trained = _trained(config, folders, where)
    parts_trained = [part for one in trained.values() for part in one.model.parts]
    config = of_owners(config, (*parts_trained, *parts), otherwise=owners, explicit=overrides.named)
    config = overrides.of_stages(config, enlarging=upscale)
    config = with_defaults_named(config)
    for warning in check_installed(dict.fromkeys(parts_trained)):
        warnings.warn(warning, stacklevel=2)
    kind = modality_of(modality, wanted or name)
    config = overrides.of_length(config, kind)
    with torch.random.fork_rng(devices=[]), plugins_named(where):  # initial weights are drawn
        stages = [
            build_stage(
                table,
                spec_of(kind, {**config.media, **table.media}),
                where=where,
                folder=trained[table.name].model.folder,
            )
            for table in config.stages
        ]
        unfilled = Pipeline(name, config, kind, tuple(stages), {})
        _ = unfilled.windows  # its stages go together
    for table in config.stages:
        own_weights = trained[table.name]
        refuse_untrained(table, own_weights.model.pipeline, own_weights.entry, own_weights.model.parts, where=where)
    digests: dict[str, str] = {}
    loaded = {  # last: it takes longest
        folder: load_model_folder(folder, allow_nonfinite=allow_nonfinite) for folder in dict.fromkeys(folders.values())
    }
    for stage in stages:
        model, weights = loaded[folders[stage.config.name]]
        digests |= _fill(stage, trained[stage.config.name].entry, model, weights, device, dtype)
    for before, stage in pairwise(stages):
        hearing = zip(stage.config.conditioners, stage.model.conditioners, strict=True)
        refuse_other_encoder(before.codec, hearing, where=f"{where}, stage {stage.config.name!r}")

    def beside(folder: str) -> Pipeline:
        return load_pipeline(
            folder, modality, device=device, dtype=dtype, compiler=compiler, allow_nonfinite=allow_nonfinite
        )

    for number, stage in enumerate(stages):
        guide = load_guide(stage, beside, where=where, device=device)
        if guide is not None:
            stages[number] = replace(stage, guide=guide)
            digests[guide_entry(stage.config.name)] = guide.sha256
    if compiler is not None:
        stages = [replace(stage, compiled=compiler.of(stage.model.network)) for stage in stages]
    return Pipeline(name, config, kind, tuple(stages), digests, device, dtype, compiler)


def described(wanted: str, settings: Sequence[str] = ()) -> tuple[PipelineConfig, dict[str, Path]]:
    """Return the configuration of a pipeline and the model folder of each of its stages, without loading any weights.

    Args:
        wanted: its name in the registry, or the path of a model folder.
        settings: laid over its configuration.

    Raises:
        ConfigError: there is no such pipeline.
        CheckpointError: the folder is damaged.
    """
    _, config, folders, _ = _found(wanted, "", Overrides(settings=tuple(settings)), upscale=False)
    return config, folders


@dataclass(frozen=True)
class _Trained:
    """Where a stage's weights are.

    Attributes:
        model: the folder.
        entry: the name that the stage has in it.
    """

    model: ModelFolder
    entry: str


def _trained(config: PipelineConfig, folders: Mapping[str, Path], where: str) -> dict[str, _Trained]:
    """Return where the weights of each stage are."""
    found: dict[str, _Trained] = {}
    models = {folder: read_model_folder(folder) for folder in dict.fromkeys(folders.values())}
    for stage in config.stages:
        if stage.name not in folders:
            raise ConfigError(f"{where}: it has no stage {stage.name!r} now; its stages: {', '.join(folders)}")
        model = models[folders[stage.name]]
        tables: list[dict[str, object]] = model.pipeline.get("stages", [])  # type: ignore[assignment]
        names = [str(table.get("name", "base")) for table in tables]
        found[stage.name] = _Trained(model, entry_of(names, stage.name, where=f"{where}: {printable(model.folder)}"))
    return found


def _fill(
    stage: Stage,
    entry: str,
    model: ModelFolder,
    weights: Mapping[str, Mapping[str, Tensor]],
    device: str,
    dtype: torch.dtype,
) -> dict[str, str]:
    """Put their weights into a stage's network, conditioners and codec, and make them ready to run.

    Returns:
        The sha256 of each, by the stage's name.
    """
    digests = {}
    own = stage.config.name
    for name, here, learnt in ((entry, own, stage.model), (codec_entry(entry), codec_entry(own), stage.codec)):
        if not has_weights(learnt):
            continue
        if name not in weights:
            raise CheckpointError(f"model: {printable(model.folder)}: it has no weights of stage {name!r}; train it")
        assign_frozen(learnt, weights[name], source=f"weights: {printable(model.folder / model.stages[name])}")
        learnt.to(device)
        digests[here] = model.sha256(name)
    stage.model.to(dtype=dtype)
    return digests


def _found(
    wanted: str | None, modality: str, overrides: Overrides, upscale: bool
) -> tuple[str, PipelineConfig, dict[str, Path], tuple[str, ...]]:
    """Return name, configuration and the stages' model folders of a pipeline, and whose parts its short names mean."""
    registry = current()
    name = registry.default_pipeline(f"upscale-{modality}" if upscale else modality) if wanted is None else wanted
    if name is None:
        does = f"makes {modality} larger" if upscale else f"makes {modality}"
        raise ConfigError(
            f"pipeline: no default one {does}; name one (noiseform list pipeline) or a folder that you trained"
        )
    path = Path(os.path.expanduser(name))
    if ("/" in name or name.startswith(".")) and os.path.isfile(path / MANIFEST):
        table = apply_settings(read_model_folder(path).pipeline, overrides.settings)
        helper = helper_of(table)
        if helper is not None:
            raise ConfigError(
                f"model {printable(path)}: a {helper}, which makes nothing by itself; name it {usage(table, path)}"
            )
        config = checked(PipelineConfig, table, what=f"model {printable(path)}")
        return path.resolve().name, config, {stage.name: path for stage in config.stages}, ()
    try:
        config = registry.pipeline(name, settings=overrides.settings)
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
    return name, config, registry.stage_folders(name, config), registry.owners(name)
