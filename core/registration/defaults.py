"""The name ``default``, made definite: what is kept in a model or a record must not change with the registry."""

from __future__ import annotations

from .build import find
from .config import PartConfig, PipelineConfig, StageConfig

__all__ = ["with_defaults_named"]


def with_defaults_named(config: PipelineConfig) -> PipelineConfig:
    """Return a pipeline's configuration with every ``use = "default"`` replaced by the part that it stands for now.

    Raises:
        ConfigError: a default names no part.
    """
    return config.model_copy(update={"stages": [_stage(stage) for stage in config.stages]})


def _stage(stage: StageConfig) -> StageConfig:
    return stage.model_copy(update={kind: _named(kind, getattr(stage, kind)) for kind in ("sampler", "grid")})


def _named(kind: str, table: PartConfig) -> PartConfig:
    if table.use != "default":
        return table
    part = find(kind, table.use, owners=table.owners)
    name = part.name if part.plugin.candidate.builtin else part.full_name
    return PartConfig.model_validate({**table.model_dump(), "use": name}).of(part.plugin.distribution)
